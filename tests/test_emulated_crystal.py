"""The seed's Crystal in an emulator, as other machines than x86_64 run it: the same objects.

    BQ2_TEST_SLOW=1 ./bq2 test tests/test_emulated_crystal.py

It needs a machine of x86_64 and QEMU's program `qemu-x86_64` (Debian: qemu-user-static).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cache.store import Store
from plan.seeding.debian import load_debian
from tests.checkout import ROOT

HOUR = 3600
SEEDS = ROOT / "plan" / "seeds"
TARGET = "aarch64-linux-musl"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(HOUR)]
if os.uname().machine != "x86_64":
    pytestmark.append(pytest.mark.skip("only a machine of x86_64 can run the compiler without one"))


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree of the seed debian for x86_64."""
    workdir = tmp_path_factory.mktemp("work")
    settings = ["set=base", "seed=debian", f"workdir={workdir}"]
    command = [sys.executable, "-m", "doit", "seed", *settings]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HOUR)
    assert done.returncode == 0, done.stdout + done.stderr
    return Store().root / "trees" / f"seed-{(workdir / 'seed-made').read_text()}"


def compiled(seed: Path, program: str, at: Path, *, by: str = "", first: str = "") -> bytes:
    """The object of the Crystal `program`; made in the directory `at`, by the emulator `by`.

    first: a directory in front of Crystal's library, with a colon.
    """
    for name, text in (("pkg-config", "exit 1"), ("ldd", "echo musl")):
        (at / name).write_text(f"#!/bin/sh\n{text}\n")
        (at / name).chmod(0o755)
    (at / "main.cr").write_text(program)
    environment = {
        "PATH": f"{at}:/usr/bin:/bin",
        "CRYSTAL_CACHE_DIR": str(at / "cache"),
        "CRYSTAL_PATH": f"{first}lib:{seed}/usr/lib/crystal/lib",
    }
    usr = seed / "usr"
    libraries = usr / "lib/x86_64-linux-gnu"
    loader: list[str | Path] = [usr / "lib64/ld-linux-x86-64.so.2", "--library-path", libraries]
    options = ["--no-debug", "--cross-compile", "--target", TARGET, "-o", "main", "main.cr"]
    command = [*filter(None, [by]), *loader, usr / "bin/crystal", "build", *options]
    done = subprocess.run(command, cwd=at, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    shutil.rmtree(at / "cache", ignore_errors=True)
    return (at / "main.o").read_bytes()


def test_an_emulator_changes_no_object(seed: Path, tmp_path: Path) -> None:
    emulator = shutil.which("qemu-x86_64") or shutil.which("qemu-x86_64-static")
    if not emulator:
        pytest.skip("there is no qemu-x86_64")
    program = 'puts "hello #{ARGV.size + 1}"'
    assert compiled(seed, program, tmp_path, by=emulator) == compiled(seed, program, tmp_path)


def test_an_emulated_compiler_needs_no_program_that_it_compiled(seed: Path, tmp_path: Path) -> None:
    foreign = load_debian(SEEDS / "debian.yaml", "aarch64").foreign
    assert foreign and foreign.emulated
    own = "usr/lib/crystal/emulated"
    for name, text in foreign.emulated:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    # There is no page.ecr: whoever reads it fails.
    program = """
        require "ecr/macros"
        class Page
          ECR.def_to_s "page.ecr"
        end
        ECR.embed "page.ecr", STDOUT
        print Page.new, ECR.render("page.ecr")
    """
    assert compiled(seed, program, tmp_path, first=f"{tmp_path / own}:")
    with pytest.raises(AssertionError, match=r"macro_run|page\.ecr"):
        compiled(seed, program, tmp_path)
