"""rootfs.archives.deb: valid and damaged Debian packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from plan.errors import BuildError
from rootfs.archives.deb import unpack_deb
from tests.rootfs.debs import ar_of, deb_of, tar_of


def merged(path: Path) -> Path:
    """A usr-merged tree with nothing in it."""
    for name in ("bin", "lib", "lib64"):
        (path / "usr" / name).mkdir(parents=True)
        (path / name).symlink_to(f"usr/{name}")
    return path


@pytest.mark.fault(
    "a Debian package with maintainer scripts",
    "its files are unpacked; no script runs",
)
@pytest.mark.parametrize("data", ["data.tar.xz", "data.tar", "data.tar/"])
def test_files_come_out_and_no_script_runs(data: str, tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "./": "",
        "./usr/": "",
        "./usr/bin/": "",
        "./usr/bin/x": b"program",
    }
    path = deb_of(tmp_path / "x.deb", files, data=data)
    assert unpack_deb(path, tmp_path / "into") == 3
    assert (tmp_path / "into/usr/bin/x").read_bytes() == b"program"
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".ran"] == []


def test_old_top_directories_land_behind_the_links(tmp_path: Path) -> None:
    into = merged(tmp_path / "into")
    files: dict[str, str | bytes] = {
        "./lib/": "",
        "./lib/a.so": b"1",
        "./lib64/ld.so": "../lib/a.so",
        "./bin/": "",
        "./bin/sub/x": b"2",
        "./usr/lib/b": b"3",
        "./libx": b"4",
    }
    unpack_deb(deb_of(tmp_path / "x.deb", files), into)
    assert (into / "lib").is_symlink()
    assert (into / "usr/lib/a.so").read_bytes() == b"1"
    assert (into / "usr/lib64/ld.so").is_symlink()
    assert (into / "usr/bin/sub/x").read_bytes() == b"2"
    assert (into / "libx").read_bytes() == b"4"


def test_the_package_that_brings_the_links_may_be_unpacked(tmp_path: Path) -> None:
    into = merged(tmp_path / "into")
    unpack_deb(deb_of(tmp_path / "base.deb", {"./lib": "usr/lib", "./bin": "usr/bin"}), into)
    assert str((into / "lib").readlink()) == "usr/lib"
    assert (into / "usr/lib").is_dir()
    assert not (into / "usr/lib").is_symlink()


@pytest.mark.fault(
    "a Debian package that writes through a link of its own",
    "refused; nothing outside is touched",
)
def test_a_package_cannot_write_through_its_own_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    files: dict[str, str | bytes] = {"./usr/lib/l": str(outside), "./lib/l/x": b"evil"}
    with pytest.raises(BuildError, match="is a file or link, not a directory"):
        unpack_deb(deb_of(tmp_path / "x.deb", files), merged(tmp_path / "into"))
    assert not list(outside.iterdir())


def test_what_is_left_packed(tmp_path: Path) -> None:
    files = {"./usr/share/doc/x/copyright": b"", "./usr/share/x": b""}
    path = deb_of(tmp_path / "x.deb", files)
    assert unpack_deb(path, tmp_path / "into", exclude=["usr/share/doc"]) == 1
    assert not (tmp_path / "into/usr/share/doc").exists()


GOOD = ar_of({"debian-binary": b"2.0\n", "data.tar": tar_of({"./a": b"x" * 2000})})


@pytest.mark.fault("a Debian package: not one, cut off, corrupt", "one error: fetch it again")
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not an ar archive"),
        (b"<html>gone</html>", "not an ar archive"),
        (b"!<arch>\n", "has no data.tar"),
        (ar_of({"debian-binary": b"2.0\n"}), "has no data.tar"),
        (GOOD[:40], "cut off or corrupt"),
        (GOOD[:100], "cut off or corrupt"),
        (GOOD[:1500], "ends in the middle"),
        (GOOD.replace(b"`\n", b"??"), "cut off or corrupt"),
        (GOOD.replace(b"4         `", b"-4        `"), "cut off or corrupt"),
    ],
)
def test_broken_packages(data: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "x.deb"
    path.write_bytes(data)
    with pytest.raises(BuildError) as caught:
        unpack_deb(path, tmp_path / "into")
    assert reason in caught.value.message
    assert caught.value.where == str(path)
    assert "fetch it again" in str(caught.value.hint)


@pytest.mark.fault("a Debian package that is missing", "one error")
def test_a_missing_package(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="No such file"):
        unpack_deb(tmp_path / "x.deb", tmp_path / "into")
