"""tests.scratch: a run leaves no temporary file, and the next removes those of a killed one."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from tests import scratch

ROOT = Path(__file__).resolve().parents[1]
LEAVES = """
import os, sys, tempfile
from tests import scratch
directory = scratch.begin()
os.chmod(tempfile.mkdtemp(), 0)  # as overlayfs leaves one
tempfile.mkstemp(dir=tempfile.mkdtemp())
if sys.argv[1] == "killed": os.kill(os.getpid(), 9)
scratch.end(directory)
"""


def run(top: Path, how: str) -> int:
    environment = {**os.environ, "TMPDIR": os.fspath(top)}
    command = [sys.executable, "-c", LEAVES, how]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def test_pytest_can_remove_what_nobody_may_enter(tmp_path: Path) -> None:
    (tmp_path / "work" / "work" / "inside").mkdir(parents=True)
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "work" / "work" / "inside").chmod(0)
    (tmp_path / "work" / "work").chmod(0)
    scratch.open_all(tmp_path)
    assert (tmp_path / "work" / "work" / "inside").stat().st_mode & 0o777 == 0o700
    shutil.rmtree(tmp_path)


def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path: Path) -> None:
    (tmp_path / "of another program").mkdir()
    running = tmp_path / f"bq2-test-{os.getpid()}"
    running.mkdir()
    assert run(tmp_path, "killed") == -signal.SIGKILL
    assert len([*tmp_path.iterdir()]) == 3
    assert run(tmp_path, "ended") == 0
    assert {*tmp_path.iterdir()} == {running, tmp_path / "of another program"}
