"""Alpine's real root as the seed: against Debian's, compiled with, and booted.

    BQ2_TEST_ALPINE=FILE             a root of Alpine for this machine; else
    releases in the user's cache     one that plan/seeds/alpine.yaml pins; else
    Alpine's server                  the usual one; else these tests are skipped, and say why

All other files go to the user's cache. The comparison is quick: Zig compiles only the C library and
make that the seed lacks, and a program of the kernel's headers. The rest takes up to an hour:

    BQ2_TEST_SLOW=1 ./bq2 test tests/test_two_seeds.py
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from cache.sources import cached
from plan.seeding.alpine import load_alpine
from tests.checkout import ROOT, own_cache

SECONDS = 1800
HOURS = 2 * 3600
MACHINE = os.uname().machine
OTHER = {"x86_64": "aarch64", "aarch64": "x86_64"}[MACHINE]
pytestmark = [pytest.mark.namespace, pytest.mark.timeout(SECONDS)]


def doit(*words: str, seconds: int = SECONDS) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "doit", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds)


def done(*words: str, seconds: int = SECONDS) -> str:
    """What doit says, which has to succeed."""
    run = doit(*words, seconds=seconds)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The parameters that choose a root of Alpine; the seed is made of it."""
    chosen = _given() or _in_the_cache()
    work = tmp_path_factory.mktemp("seed")
    run = doit("seed", "set=base", "seed=alpine", f"workdir={work}", *chosen)
    if "could not be fetched" in run.stdout:
        pytest.skip(f"Alpine's root cannot be had, nor does BQ2_TEST_ALPINE name one:{run.stdout}")
    assert run.returncode == 0, run.stdout + run.stderr
    return chosen


def _given() -> list[str]:
    given = os.environ.get("BQ2_TEST_ALPINE")
    if not given:
        return []
    sha256 = hashlib.sha256(Path(given).read_bytes()).hexdigest()
    return [f"seed_tarball={given}", f"seed_sha256={sha256}"]


def _in_the_cache() -> list[str]:
    file = ROOT / "plan" / "seeds" / "alpine.yaml"
    for release in yaml.safe_load(file.read_text())["architectures"][MACHINE]["releases"]:
        if cached(load_alpine(file, MACHINE, release).source, own_cache()):
            return [f"seed_release={release}"]
    return []


def test_two_seeds_give_the_same_where_no_compiler_is_in_between(
    root: list[str], tmp_path: Path
) -> None:
    settings = ["set=base-tools", "seed=debian", "seeds=alpine", f"workdir={tmp_path / 'work'}"]
    said = done("challenge", *settings, *root)
    assert re.search(r"^alpine: 4 of 4 identical$", said, re.MULTILINE)
    # Debian's Crystal is in both, and that is said.
    assert re.search(r"in both seeds.*\bcrystal\b", said)


@pytest.mark.slow
def test_it_compiles_a_package_of_the_base_set(root: list[str], tmp_path: Path) -> None:
    """zlib, with the C library and what the seed lacks for it; nothing of the kernel."""
    work = tmp_path / "work"
    done("pkg:zlib", "set=base", "with=zlib", "seed=alpine", f"workdir={work}", *root)
    made = {path.stem for path in (work / "stamps" / "sysroot-from-seed").glob("*.json")}
    assert {"seed-libc", "seed-make", "seed-binutils", "seed-python", "musl", "zlib"} <= made
    assert not made & {"seed-perl", "seed-bison", "linux"}


@pytest.mark.slow
@pytest.mark.timeout(HOURS)
def test_it_compiles_the_tools_of_the_full_set_besides_llvm(
    root: list[str], tmp_path: Path
) -> None:
    """The first phase: CMake, and Python with all that it needs."""
    tools = [f"sysroot-from-seed:{name}" for name in ("cmake", "ninja", "perl", "python")]
    settings = ["set=full", "seed=alpine", f"workdir={tmp_path / 'work'}", *root]
    done(*tools, *settings, seconds=HOURS)


@pytest.mark.fault(
    "a program with ECR for another architecture, from Alpine's root",
    "what Crystal starts while it compiles is linked to libraries that are made first",
)
@pytest.mark.slow
@pytest.mark.timeout(HOURS)
def test_a_program_that_runs_while_it_compiles_is_crossed(root: list[str], tmp_path: Path) -> None:
    app = ROOT / "docs" / "examples" / "notes"
    settings = ["set=base", "seed=alpine", f"arch={OTHER}", f"workdir={tmp_path / 'work'}", *root]
    done("pkg:notes", f"app={app}", *settings, seconds=HOURS)
    made = {path.stem for path in (tmp_path / "work/stamps/sysroot-from-seed").glob("*.json")}
    assert {"seed-unwind", "seed-bdwgc", "seed-libevent", "seed-pcre2", "notes"} <= made


@pytest.mark.slow
@pytest.mark.qemu
@pytest.mark.timeout(HOURS)
@pytest.mark.parametrize("arch", [MACHINE, OTHER])
def test_its_image_boots(arch: str, root: list[str], tmp_path: Path) -> None:
    """The kernel too is compiled from Alpine's root, by Zig's clang and GNU's object tools."""
    image = tmp_path / "image.qcow2"
    settings = ["set=base", f"arch={arch}", "seed=alpine", f"workdir={tmp_path / 'work'}", *root]
    done("image", *settings, f"output={image}", seconds=HOURS)
    said = done("boot", *settings, f"output={image}", "run=about | head -1; uname -m")
    assert said.splitlines()[-2:] == [f"bootstrap-qcow2, set base, {arch}", arch]
    assert "matches its own records" in done("inspect", *settings, f"image={image}")
