"""Whether native builds on aarch64 give the same bits as cross builds for it, package by package.

All programs of one build are this machine's, those of the other are aarch64's. The kernel runs
these in an emulator: it needs Debian's qemu-user-static and its entry in binfmt_misc.

    BQ2_TEST_SLOW=1 ./bq2 test tests/test_native.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.checkout import ROOT

ARCH = "aarch64"
HOUR = 3600
EMULATOR = Path("/proc/sys/fs/binfmt_misc") / f"qemu-{ARCH}"
# What is compiled besides, musl with all that needs it, takes hours in an emulator.
PACKAGES = ("base-files", "init", "linux-headers", "musl-headers", "compiler-rt")
pytestmark = [pytest.mark.slow, pytest.mark.namespace, pytest.mark.timeout(2 * HOUR)]


def artifacts(workdir: Path, build: str) -> dict[str, str]:
    """The artifacts of the packages for ARCH, as machines of the architecture `build` give them."""
    settings = ["set=base", f"arch={ARCH}", f"build={build}", "seed=debian", f"workdir={workdir}"]
    command = [sys.executable, "-m", "doit", *(f"pkg:{name}" for name in PACKAGES), *settings]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HOUR)
    assert done.returncode == 0, done.stdout + done.stderr
    stamps = workdir / "stamps" / "sysroot-from-seed"
    return {
        name: json.loads((stamps / f"{name}.json").read_text())["artifact"] for name in PACKAGES
    }


def test_both_ways_lead_to_the_same_bits(tmp_path: Path) -> None:
    machine = os.uname().machine
    if machine == ARCH:
        pytest.skip(f"this is a machine of {ARCH}: nothing is crossed to it")
    if not EMULATOR.exists():
        pytest.skip(f"this kernel starts no programs of {ARCH}: {EMULATOR} is missing")
    assert artifacts(tmp_path / "native", ARCH) == artifacts(tmp_path / "crossed", machine)
