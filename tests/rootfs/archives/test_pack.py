"""rootfs.archives.pack: GNU tar lists and unpacks the archives; they show nothing of the host."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plan.compiling.toolchain import SOURCE_DATE_EPOCH
from plan.errors import BuildError
from rootfs.archives.pack import (
    Hashing,
    add_bytes,
    add_directory,
    add_file,
    finish,
    pack,
    stamp_times,
    tidy,
)
from rootfs.archives.unpack import unpack
from tests.rootfs.tools import contents, make_tree, quick, snapshot, tool


def packed(*layers: Path, prefix: str = "", exclude: tuple[str, ...] = ()) -> bytes:
    out = io.BytesIO()
    pack(layers, out, prefix=prefix, exclude=exclude)
    finish(out)
    return out.getvalue()


def gnu_tar(data: bytes, into: Path) -> dict[str, tuple[int, bytes, str]]:
    """What GNU tar makes of an archive."""
    into.mkdir()
    tool("tar", "-xp", "-f", "-", stdin=data, cwd=into)
    return snapshot(into)


def odd_tree(top: Path) -> Path:
    """One of everything that a package may hold."""
    make_tree(top, {"bin/tool": b"#!", "empty": b"", "d/x y\n": b"odd", "d/\udcff": b"not UTF-8"})
    make_tree(top, {"/".join(["long" * 20] * 5): b"deep", "n" * 200: b"", "block": bytes(512)})
    (top / "bin/tool").chmod(0o755)
    (top / "empty").chmod(0o600)
    (top / "d").chmod(0o1777)
    (top / "bin/link").symlink_to("../no/where")
    (top / "bin/far").symlink_to("/x" * 200)
    for name in ("bin/another", "d/name", "zz", "z" * 150):
        (top / name).hardlink_to(top / "bin/tool")
    return top


def test_gnu_tar_gets_the_tree_back(tmp_path: Path) -> None:
    top = odd_tree(tmp_path / "tree")
    data = packed(top)
    assert gnu_tar(data, tmp_path / "back") == snapshot(top)
    assert len(data) % 512 == 0
    listing = tool("tar", "-tv", "--numeric-owner", "--full-time", "-f", "-", stdin=data)
    lines = listing.splitlines()
    assert len(lines) == len(snapshot(top))
    assert all(" 0/0 " in line and " 2025-01-01 00:00:00 " in line for line in lines)
    names = tool("tar", "-t", "--quoting-style=literal", "-f", "-", stdin=packed(top / "bin"))
    assert names.split() == ["another", "far", "link", "tool"]


def test_our_own_reader_gets_the_tree_back(tmp_path: Path) -> None:
    top = make_tree(tmp_path / "tree", {"bin/tool": b"#!", "/".join(["long" * 20] * 5): b"deep"})
    (top / "other").hardlink_to(top / "bin/tool")
    file = tmp_path / "x.tar"
    file.write_bytes(packed(top))
    (tmp_path / "back").mkdir()
    unpack(file, tmp_path / "back")
    assert snapshot(tmp_path / "back") == snapshot(top)


NAMES = st.lists(st.sampled_from(["d", "e", "d-d"]), max_size=3).flatmap(
    lambda above: st.text("abc.\N{SNOWMAN}", min_size=1, max_size=60).map(
        lambda name: "/".join([*above, "f" + name])
    )
)


@pytest.mark.fault("any tree, packed as tar", "GNU tar unpacks the same")
@quick
@given(files=st.dictionaries(NAMES, contents, max_size=8))
def test_random_trees_come_back(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        top = make_tree(Path(directory, "tree"), files)
        assert gnu_tar(packed(top), Path(directory, "back")) == snapshot(top)


def test_nothing_of_the_machine_is_in_it(tmp_path: Path) -> None:
    files = {f"d{n % 3}/f{n}": b"%d" % n for n in range(20)}
    one = make_tree(tmp_path / "one", files)
    two = make_tree(tmp_path / "elsewhere" / "two", dict(reversed(files.items())))
    for path in two.rglob("*"):
        os.utime(path, (1, 1))
    assert packed(one) == packed(two)
    (two / "d1/f1").chmod(0o755)
    assert packed(one) != packed(two)


def test_layers_and_prefix(tmp_path: Path) -> None:
    lower = make_tree(tmp_path / "lower", {"usr/a": b"low", "usr/b": b"low", "usr/src/x": b""})
    (lower / "usr/c").hardlink_to(lower / "usr/b")
    upper = make_tree(tmp_path / "upper", {"usr/a": b"up"})
    data = packed(lower, upper, prefix="top/", exclude=("usr/src",))
    found = gnu_tar(b"".join([_directory("top"), data]), tmp_path / "back")
    assert {name: value[1:] for name, value in found.items()} == {
        "top": (b"", "top"),
        "top/usr": (b"", "top/usr"),
        "top/usr/a": (b"up", "top/usr/a"),
        "top/usr/b": (b"low", "top/usr/b"),
        "top/usr/c": (b"low", "top/usr/b"),
    }


def _directory(name: str) -> bytes:
    out = io.BytesIO()
    add_directory(out, name)
    return out.getvalue()


def test_single_members(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"from a file")
    file.chmod(0o600)
    out = io.BytesIO()
    add_directory(out, "w")
    add_bytes(out, "w/bytes", b"x" * 513)
    add_file(out, "w/file", file, mode=0o444)
    finish(out)
    found = gnu_tar(out.getvalue(), tmp_path / "back")
    assert {name: (oct(value[0]), value[1]) for name, value in found.items()} == {
        "w": ("0o40755", b""),
        "w/bytes": ("0o100644", b"x" * 513),
        "w/file": ("0o100444", b"from a file"),
    }


def test_hashing_tells_what_was_written(tmp_path: Path) -> None:
    with (tmp_path / "x").open("wb") as file:
        out = Hashing(file)
        pack([make_tree(tmp_path / "tree", {"a": b"1" * 3000})], out)
        finish(out)
    data = (tmp_path / "x").read_bytes()
    assert (out.size, out.sha256.hexdigest()) == (len(data), hashlib.sha256(data).hexdigest())


# --- tidy --------------------------------------------------------------------------------------


def test_tidy_drops_and_stamps(tmp_path: Path) -> None:
    files = ("usr/share/doc/x/y", "usr/lib/a.la", "usr/lib/a.so", "usr/lib/deep/b.la", "etc/secret")
    tree = make_tree(tmp_path / "tree", dict.fromkeys(files, b""))
    (tree / "usr/lib/c.la").symlink_to("nowhere")
    (tree / "etc/secret").chmod(0o000)
    (tree / "etc").chmod(0o500)
    tidy(tree, remove=["usr/share/doc", "usr/lib/*.la"])
    found = snapshot(tree)
    assert set(found) == {
        *("etc", "etc/secret", "usr", "usr/lib", "usr/lib/a.so", "usr/lib/deep"),
        *("usr/lib/deep/b.la", "usr/share"),
    }
    assert (oct(found["etc"][0]), oct(found["etc/secret"][0])) == ("0o40700", "0o100600")
    times = {path.lstat().st_mtime for path in (tree, *tree.rglob("*"))}
    assert times == {SOURCE_DATE_EPOCH}


def _setuid(path: Path) -> None:
    path.touch()
    path.chmod(0o4755)


def _setgid(path: Path) -> None:
    path.touch()
    path.chmod(0o2755)


@pytest.mark.fault("a package that installs devices, sockets or set-user-id files", "refused")
@pytest.mark.parametrize("make", [_setuid, _setgid, os.mkfifo], ids=lambda make: make.__name__)
def test_tidy_refuses_what_no_package_may_install(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    tree = make_tree(tmp_path / "tree", {"usr/bin/good": b""})
    make(tree / "usr/bin/bad")
    with pytest.raises(BuildError) as caught:
        tidy(tree, remove=[])
    assert caught.value.where == "usr/bin/bad"
    assert "device, socket or set-id" in caught.value.message
    assert "`remove`" in (caught.value.hint or "")
    tidy(tree, remove=["usr/bin/bad"])
    assert not (tree / "usr/bin/bad").exists()


@pytest.mark.fault("a package with a link to a file outside", "the file keeps its time")
def test_stamping_follows_no_link(tmp_path: Path) -> None:
    outside = make_tree(tmp_path / "outside", {"file": b""})
    tree = make_tree(tmp_path / "tree", {})
    (tree / "link").symlink_to(outside)
    (tree / "other").symlink_to(outside / "file")
    before = outside.stat().st_mtime_ns, (outside / "file").stat().st_mtime_ns
    stamp_times(tree)
    assert (outside.stat().st_mtime_ns, (outside / "file").stat().st_mtime_ns) == before
    assert (tree / "link").lstat().st_mtime == SOURCE_DATE_EPOCH
