"""Seeds as data: the real ones, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from plan import toolchain
from plan.errors import BuildError
from plan.seedfile import debs, load_alpine, load_debian, load_lock, seed_tools

SEEDS = Path(__file__).resolve().parents[2] / "plan/seeds"
SHA = "ab" * 32
SEED = """\
archive: {suite: trixie, component: main}
architectures: {x86_64: {archive: amd64}}
wanted:
  clang-19: the compiler
exclude:
  gcc: another compiler
leave: [usr/share/doc]
folders: [tmp]
files:
  etc/passwd: "root"
links:
  busybox: [sh, awk]
"""
LOCK = """\
suite: trixie
snapshot: 20260913T075541Z
packages:
- {name: a, version: "1:1.0", size: 10, path: pool/main/a/a/a_1.0.deb, sha256: SHA}
""".replace("SHA", SHA).replace("name: a,", "name: aa,")
ALPINE = f"""\
architecture: x86_64
version: 3.23.2
file: a.tar.gz
size: 0
sha256: {SHA}
places: [https://example.org/a.tar.gz]
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "seed.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
def test_the_real_lock_belongs_to_the_real_seed(architecture: str) -> None:
    seed = load_debian(SEEDS / "debian.yaml", architecture)
    lock = load_lock(SEEDS / f"debian-{architecture}.lock.yaml")
    names = [deb.name for deb in lock.debs]
    assert set(seed.wanted) <= set(names)
    assert not set(seed.exclude) & set(names)
    assert names == sorted(set(names))
    assert lock.suite == seed.suite
    assert ("usr/bin/sh", "busybox") in seed.links


@pytest.mark.parametrize("architecture", ["x86_64", "aarch64"])
def test_the_real_alpine_seeds(architecture: str) -> None:
    seed = load_alpine(SEEDS / f"alpine-{architecture}.yaml")
    assert seed.architecture == architecture
    assert all(seed.version in place and architecture in place for place in seed.source.places)


def test_what_is_read(tmp_path: Path) -> None:
    seed = load_debian(written(tmp_path, SEED), "x86_64")
    assert (seed.wanted, seed.exclude) == (("clang-19",), ("gcc",))
    assert (seed.architecture, seed.debian_architecture) == ("x86_64", "amd64")
    assert seed.links == (("usr/bin/awk", "busybox"), ("usr/bin/sh", "busybox"))
    assert seed.files == (("etc/passwd", "root"),)
    lock = load_lock(written(tmp_path, LOCK))
    source = debs(lock)[0]
    assert source.places == ("debian:pool/main/a/a/a_1.0.deb",)
    assert (source.sha256, source.size, source.file) == (SHA, 10, "a_1.0.deb")
    assert debs(lock.debs) == debs(lock)


def test_what_only_one_architecture_wants_is_read(tmp_path: Path) -> None:
    own = "{archive: amd64, wanted: {crystal: one}, exclude: {gcc-14: two}, missing: {go: three}}"
    seed = load_debian(written(tmp_path, SEED.replace("{archive: amd64}", own)), "x86_64")
    assert (seed.wanted, seed.exclude) == (("clang-19", "crystal"), ("gcc", "gcc-14"))
    assert seed.missing == (("go", "three"),)


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ("leave:", "leaves:", 7, "unknown key 'leaves'"),
        ("suite: trixie,", "", 1, "'suite' is missing"),
        ("x86_64", "sparc", 2, "no seed debian for machines of x86_64"),
        ("archive: amd64", "archives: amd64", 2, "unknown key 'archives'"),
        ("clang-19: the compiler", "clang-19: ", 4, "clang-19 has no reason"),
        ("clang-19:", "Clang:", 4, "no name of a Debian package"),
        ("[tmp]", "[/tmp]", 8, "no path inside"),
        ("[tmp]", "[a/../b]", 8, "no path inside"),
        ("etc/passwd", "../passwd", 9, "no path inside"),
        ("[sh, awk]", "[sh, sh]", 11, "made twice: usr/bin/sh"),
        ("[sh, awk]", "[../../x]", 11, "no path inside"),
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


def test_the_real_alpine_seed_lacks_what_is_made_first() -> None:
    tools = seed_tools(SEEDS, "alpine", "x86_64")
    assert tools.compiler == toolchain.ALPINE
    assert tools.lacks["make"] == "seed-make" and tools.lacks["m4"] == "m4"
    assert seed_tools(SEEDS, "debian", "x86_64") == toolchain.DEBIAN_TOOLS
    lock = load_lock(SEEDS / "debian-x86_64.lock.yaml")
    wanted = load_alpine(SEEDS / "alpine-x86_64.yaml").debian
    assert set(wanted) <= {deb.name for deb in lock.debs}


@pytest.mark.fault("a seed's wheel for another architecture", "refused before anything is built")
@pytest.mark.parametrize(
    ("platform", "fits"),
    [("musllinux_1_2_x86_64", True), ("any", True), ("manylinux_2_17_aarch64", False)],
)
def test_a_wheel_of_another_architecture_is_refused(
    platform: str, fits: bool, tmp_path: Path
) -> None:
    file = f"ninja-1.13.2-py3-none-{platform}.whl"
    wheel = f'{{sha256: {SHA}, size: 1, file: {file}, places: ["wheel:ninja==1.13.2"]}}'
    path = written(tmp_path, f"{ALPINE}wheels:\n  - {wheel}\n")
    if fits:
        assert load_alpine(path).wheels[0].file == file
        return
    with pytest.raises(BuildError) as caught:
        load_alpine(path)
    assert "is not for x86_64" in caught.value.message
    assert caught.value.where == f"{path}:7"


def test_alpine_seeds_that_are_refused(tmp_path: Path) -> None:
    assert load_alpine(written(tmp_path, ALPINE)).source.size == 0
    for text in (ALPINE.replace(SHA, "x"), ALPINE.replace("version: 3.23.2\n", "")):
        with pytest.raises(BuildError):
            load_alpine(written(tmp_path, text))
