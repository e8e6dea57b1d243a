"""Seeds: Debian's, Alpine's, and the user's own."""

from __future__ import annotations

import gzip
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from plan.compiling.toolchain import SOURCE_DATE_EPOCH, Compiler
from plan.errors import BuildError
from plan.model import Source
from plan.seeding.alpine import AlpineSeed
from plan.seeding.debian import DebianSeed
from rootfs.archives.seed import inside, make_alpine, make_from_path, make_seed
from tests.rootfs.debs import WHEN, deb_of, tar_of
from tests.rootfs.wheels import wheel_of

COMPILER = Compiler("/usr/bin", "/usr")


def seed_with(**fields: Any) -> DebianSeed:
    given = {
        "compiler": COMPILER,
        "architecture": "x86_64",
        "suite": "stable",
        "component": "main",
        "debian_architecture": "amd64",
        "wanted": (),
        "exclude_packages": (),
        "exclude": ("usr/share/doc",),
        "directories": ("var/lib/x",),
        "files": (("etc/passwd", "root:x:0:0::/root:/bin/sh\n"),),
        "links": (("usr/bin/sh", "busybox"), ("usr/bin/awk", "busybox")),
    }
    return DebianSeed(**{**given, **fields})


def debs(tmp_path: Path) -> list[Path]:
    busybox: dict[str, str | bytes] = {"./bin/": "", "./bin/busybox": b"#!"}
    gawk: dict[str, str | bytes] = {"./usr/bin/awk": b"gawk", "./usr/share/doc/gawk/x": b""}
    return [deb_of(tmp_path / "b.deb", busybox), deb_of(tmp_path / "g.deb", gawk)]


def listing(top: Path) -> list[tuple[str, int, float, str]]:
    return [
        (
            str(path.relative_to(top)),
            path.lstat().st_mode,
            path.lstat().st_mtime,
            str(path.readlink()) if path.is_symlink() else "",
        )
        for path in sorted([top, *top.rglob("*")])
    ]


def test_a_seed_has_what_the_scripts_would_have_made(tmp_path: Path) -> None:
    into = tmp_path / "seed"
    make_seed(debs(tmp_path), into, seed=seed_with())
    assert {str((into / n).readlink()) for n in ("bin", "sbin", "lib")} == {
        "usr/bin",
        "usr/sbin",
        "usr/lib",
    }
    assert inside(into, "/bin/sh") == into / "usr/bin/busybox"
    assert (into / "usr/bin/awk").read_text() == "gawk"  # a package's own file wins over a link
    assert (into / "etc/passwd").read_text().startswith("root:")
    assert all((into / n).is_dir() for n in ("dev", "proc", "sys", "tmp", "var/lib/x", "root"))
    assert not (into / "usr/share/doc").exists()
    assert stat.S_IMODE((into / "tmp").stat().st_mode) == 0o1777
    assert stat.S_IMODE((into / "var/tmp").stat().st_mode) == 0o1777
    assert (into / "usr/bin/busybox").stat().st_mtime == WHEN
    assert (into / "usr/bin").stat().st_mtime == SOURCE_DATE_EPOCH
    assert (into / "etc/passwd").stat().st_mtime == SOURCE_DATE_EPOCH
    assert not list(tmp_path.glob("*.ran"))


def test_a_program_of_ours_can_be_executed(tmp_path: Path) -> None:
    own = (("usr/lib/llvm/bin/crystal", "#!/bin/sh\n"),)
    make_seed(debs(tmp_path), tmp_path / "seed", seed=seed_with(programs=own))
    assert (tmp_path / "seed/usr/lib/llvm/bin/crystal").stat().st_mode == 0o100755


@pytest.mark.fault("a umask of 077 while the seed is unpacked", "its tree is the same")
def test_the_same_packages_give_the_same_tree(tmp_path: Path) -> None:
    make_seed(debs(tmp_path), tmp_path / "one", seed=seed_with())
    previous = os.umask(0o077)
    try:
        make_seed(debs(tmp_path), tmp_path / "two", seed=seed_with())
    finally:
        os.umask(previous)
    assert listing(tmp_path / "one") == listing(tmp_path / "two")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"links": (("usr/bin/sh", "busybox"), ("usr/bin/cc", "clang"))}, "installs clang"),
        ({"links": ()}, "no /bin/sh"),
        ({"directories": ("usr/bin/busybox/x",)}, "should be a directory"),
        ({"files": (("bin/x", ""),)}, "should be a directory"),
    ],
)
def test_seeds_that_cannot_work(fields: dict[str, Any], reason: str, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=reason):
        make_seed(debs(tmp_path), tmp_path / "seed", seed=seed_with(**fields))


def test_a_file_of_ours_replaces_a_link_and_does_not_follow_it(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    bad = deb_of(tmp_path / "bad.deb", {"./etc/passwd": str(victim)})
    make_seed([*debs(tmp_path), bad], tmp_path / "seed", seed=seed_with())
    assert victim.read_text() == "precious"
    assert not (tmp_path / "seed/etc/passwd").is_symlink()


def test_a_seed_is_made_in_an_empty_directory_only(tmp_path: Path) -> None:
    (tmp_path / "seed").mkdir()
    (tmp_path / "seed/x").touch()
    with pytest.raises(BuildError, match="empty directory"):
        make_seed(debs(tmp_path), tmp_path / "seed", seed=seed_with())


ALPINE: dict[str, str | bytes] = {
    "./bin/": "",
    "./bin/busybox": b"#!",
    "./bin/sh": "/bin/busybox",
    "./dev/": "",
    "./etc/": "",
    "./etc/alpine-release": b"3.23.2\n",
    "./var/": "",
    "./var/run": "../run",
}


def alpine_with(**fields: Any) -> AlpineSeed:
    source = Source("0" * 64, 0, "alpine.tar.gz", ())
    empty = dict.fromkeys(
        ("wheels", "debian", "exclude", "programs", "links", "makes", "makes_crossed", "missing"),
        (),
    )
    given = {"foreign": None, **empty, **fields}
    return AlpineSeed("x86_64", "3.23.2", source, COMPILER, **given)


@pytest.fixture
def alpine(tmp_path: Path) -> Path:
    tarball = tmp_path / "alpine.tar.gz"
    tarball.write_bytes(gzip.compress(tar_of(ALPINE)))
    return tarball


def test_alpine_becomes_a_root(tmp_path: Path, alpine: Path) -> None:
    make_alpine(alpine, tmp_path / "root", seed=alpine_with())
    root = tmp_path / "root"
    assert str((root / "bin/sh").readlink()) == "/bin/busybox"
    assert inside(root, "bin/sh") == root / "bin/busybox"
    assert all((root / n).is_dir() for n in ("dev", "proc", "sys", "tmp", "run", "var/tmp"))
    assert str((root / "var/run").readlink()) == "../run"


def test_a_real_alpine_release_becomes_a_root(tmp_path: Path) -> None:
    given = os.environ.get("BQ2_TEST_ALPINE")
    if not given:
        pytest.skip("BQ2_TEST_ALPINE names no Alpine minirootfs")
    make_alpine(Path(given), tmp_path / "root", seed=alpine_with())
    assert inside(tmp_path / "root", "bin/sh") == tmp_path / "root/bin/busybox"


def test_over_alpine_lie_wheels_packages_and_programs(tmp_path: Path, alpine: Path) -> None:
    wheel = Source("1" * 64, 0, "ziglang-1-py3-none-any.whl", (), exclude=("ziglang/doc",))
    seed = alpine_with(
        wheels=(wheel,),
        exclude=("usr/share/doc",),
        programs=(("usr/bin/clang", "#!/bin/sh\n"),),
        links=(("usr/bin/cc", "clang"), ("usr/bin/zig", "../lib/wheels/ziglang/zig")),
    )
    members = {"ziglang/zig": b"program", "ziglang/doc/a": b"", "ziglang/lib/x.h": b""}
    file = wheel_of(tmp_path / "w.whl", members, executable={"ziglang/zig"})
    root = tmp_path / "root"
    make_alpine(alpine, root, seed=seed, wheels=[file], debs=debs(tmp_path))
    assert (root / "usr/lib/wheels/ziglang/zig").stat().st_mode == 0o100755
    assert (root / "usr/lib/wheels/ziglang/lib/x.h").stat().st_mode == 0o100644
    assert not (root / "usr/lib/wheels/ziglang/doc").exists()
    assert (root / "usr/lib/debian/usr/bin/busybox").read_bytes() == b"#!"
    assert (root / "usr/lib/debian/bin").is_symlink()
    assert not (root / "usr/lib/debian/usr/share").exists()
    assert (root / "usr/bin/clang").stat().st_mode == 0o100755
    assert inside(root, "usr/bin/zig") == root / "usr/lib/wheels/ziglang/zig"
    with pytest.raises(BuildError, match="no package of the seed installs missing"):
        links = (("usr/bin/ld", "missing"),)
        make_alpine(alpine, tmp_path / "other", seed=alpine_with(links=links))


def test_a_tarball_and_a_directory_of_the_user_give_the_same(tmp_path: Path) -> None:
    tarball = tmp_path / "mine.tar"
    tarball.write_bytes(tar_of({**ALPINE, "./dev/thing": b"", "./dev/shm/": ""}))
    make_from_path(tarball, tmp_path / "one")
    source = tmp_path / "source"
    make_alpine(tarball, source, seed=alpine_with())
    (source / "dev/leftover").touch()
    os.mkfifo(source / "etc/fifo")
    make_from_path(source, tmp_path / "two")
    assert listing(tmp_path / "one") == listing(tmp_path / "two")
    assert not list((tmp_path / "two/dev").iterdir())


def test_paths_that_are_no_seed(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    nested = tmp_path / "nested.tar"
    nested.write_bytes(tar_of({f"top/{name}": content for name, content in ALPINE.items()}))
    for number, (path, reason) in enumerate(
        [
            (tmp_path / "missing", "neither a directory nor a tarball"),
            (empty, "no /bin/sh"),
            (nested, "no /bin/sh"),
            (tmp_path, "contains the work directory"),
        ]
    ):
        with pytest.raises(BuildError, match=reason) as caught:
            make_from_path(path, tmp_path / str(number))
        assert caught.value.hint


@pytest.mark.parametrize(
    ("path", "leads_to"),
    [
        ("usr/bin/x", "usr/bin/x"),
        ("/bin/x", "usr/bin/x"),
        ("bin/../bin/x", "usr/bin/x"),
        ("up/usr/bin/x", "usr/bin/x"),
        ("abs", "usr/bin/x"),
        ("../../usr/bin/x", "usr/bin/x"),
        (".", "."),
        ("loop", None),
        ("missing", None),
        ("usr/bin/x/y", None),
        ("out", None),
    ],
)
def test_paths_inside_a_root(path: str, leads_to: str | None, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/x").touch()
    (tmp_path / "outside").touch()
    links = {
        "bin": "usr/bin",
        "up": "../../..",
        "abs": "/bin/x",
        "loop": "loop",
        "out": "../outside",
    }
    for name, target in links.items():
        (root / name).symlink_to(target)
    assert inside(root, path) == (root / leads_to if leads_to else None)
