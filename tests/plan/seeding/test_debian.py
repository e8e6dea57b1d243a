"""Seeds as data: the real ones, and the errors that are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from plan.errors import BuildError
from plan.seeding.debian import debs, load_debian, load_lock
from tests.plan.conftest import PLAN, written

SEEDS = PLAN / "seeds"
SHA = "ab" * 32
SEED = """\
archive: {suite: trixie, component: main}
architectures: {x86_64: {archive: amd64}}
wanted:
  clang-19: the compiler
exclude_packages:
  gcc: another compiler
exclude: [usr/share/doc]
directories: [tmp]
files:
  etc/passwd: "root"
links:
  busybox: [sh, awk]
compiler: {programs: /usr/bin, resources: /usr}
"""
LOCK = """\
suite: trixie
snapshot: 20260913T075541Z
packages:
- {name: a, version: "1:1.0", size: 10, path: pool/main/a/a/a_1.0.deb, sha256: SHA}
""".replace("SHA", SHA).replace("name: a,", "name: aa,")


@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
def test_the_real_lock_belongs_to_the_real_seed(architecture: str) -> None:
    seed = load_debian(SEEDS / "debian.yaml", architecture)
    lock = load_lock(SEEDS / f"debian-{architecture}.lock.yaml")
    names = [deb.name for deb in lock.debs]
    assert set(seed.wanted) <= set(names)
    assert not set(seed.exclude_packages) & set(names)
    assert names == sorted(set(names))
    assert lock.suite == seed.suite
    assert ("usr/bin/sh", "busybox") in seed.links


def test_what_is_read(tmp_path: Path) -> None:
    seed = load_debian(written(tmp_path, SEED), "x86_64")
    assert (seed.wanted, seed.exclude_packages) == (("clang-19",), ("gcc",))
    assert (seed.architecture, seed.debian_architecture) == ("x86_64", "amd64")
    assert seed.links == (("usr/bin/awk", "busybox"), ("usr/bin/sh", "busybox"))
    assert seed.files == (("etc/passwd", "root"),)
    lock = load_lock(written(tmp_path, LOCK))
    source = debs(lock)[0]
    assert source.urls == ("debian:pool/main/a/a/a_1.0.deb",)
    assert (source.sha256, source.size, source.file) == (SHA, 10, "a_1.0.deb")
    assert debs(lock.debs) == debs(lock)


def test_what_only_one_architecture_wants_is_read(tmp_path: Path) -> None:
    own = "{archive: amd64, wanted: {crystal: one}, exclude_packages: {gcc-14: two}, "
    own += "exclude: [usr/bin/qemu], programs: {usr/bin/own: text}, least: {gcc: '2'}, "
    own += "missing: {go: three}}"
    seed = load_debian(written(tmp_path, SEED.replace("{archive: amd64}", own)), "x86_64")
    assert (seed.wanted, seed.exclude_packages) == (("clang-19", "crystal"), ("gcc", "gcc-14"))
    assert seed.missing == (("go", "three"),) and seed.least == (("gcc", "2"),)
    assert seed.exclude == ("usr/share/doc", "usr/bin/qemu")
    assert seed.programs == (("usr/bin/own", "text"),)


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ("exclude:", "excludes:", 7, "unknown key 'excludes'"),
        ("suite: trixie,", "", 1, "'suite' is missing"),
        ("x86_64", "sparc", 2, "no seed debian for machines of x86_64"),
        ("archive: amd64", "archives: amd64", 2, "unknown key 'archives'"),
        ("clang-19: the compiler", "clang-19: ", 4, "clang-19 has no reason"),
        ("clang-19:", "Clang:", 4, "not a valid name of a Debian package"),
        ("[tmp]", "[/tmp]", 8, "not a path inside"),
        ("[tmp]", "[a/../b]", 8, "not a path inside"),
        ("etc/passwd", "../passwd", 9, "not a path inside"),
        ("[sh, awk]", "[sh, sh]", 11, "duplicate links: usr/bin/sh"),
        ("[sh, awk]", "[../../x]", 11, "not a path inside"),
        ("[sh, awk]", "sh", 12, "must be a list"),
        ('"root"', "[root]", 10, "must be a text"),
    ],
)
def test_seeds_that_are_refused(old: str, new: str, line: int, reason: str, tmp_path: Path) -> None:
    path = written(tmp_path, SEED.replace(old, new, 1))
    with pytest.raises(BuildError) as caught:
        load_debian(path, "x86_64")
    assert reason in caught.value.message
    assert caught.value.where == f"{path}:{line}"


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("20260913T075541Z", "yesterday", 2),
        ("name: aa", "name: A", 4),
        ("name: aa, ", "", 4),
        ("1:1.0", "1 0", 4),
        ("size: 10", "size: ten", 4),
        ("pool/main/a/a/a_1.0.deb", "main/a.deb", 4),
        ("pool/main/a/a/a_1.0.deb", "pool/../../a.deb", 4),
        ("pool/main/a/a/a_1.0.deb", "pool/main/a.tar", 4),
        (SHA, SHA[1:], 4),
        ("- {", "- x\n- {", 3),
    ],
)
def test_locks_that_are_refused(old: str, new: str, line: int, tmp_path: Path) -> None:
    path = written(tmp_path, LOCK.replace(old, new, 1))
    with pytest.raises(BuildError) as caught:
        load_lock(path)
    assert caught.value.where == f"{path}:{line}"
