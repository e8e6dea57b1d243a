"""test, bench: the project's own checks."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from tasks.console import speaking
from tasks.project import ROOT, project


def task_test() -> dict[str, Any]:
    """run the tests, those too that build the base set and boot it; or `doit test PATH…`"""
    return {"actions": [(speaking(_test),)], "pos_arg": "words"}


def task_bench() -> dict[str, Any]:
    """measure what the project promises, beside the plain tool in the same run"""
    return {"actions": [(speaking(_bench),)], "pos_arg": "words"}


# All tests run side by side, those of a file one after the other: they share what it builds.
SIDE_BY_SIDE = ("-n", "auto", "--dist", "loadfile", "--no-loadscope-reorder")


def _test(words: list[str]) -> None:
    command = [sys.executable, "-m", "pytest", *(words or SIDE_BY_SIDE)]
    project.exit_status = subprocess.run(command, cwd=ROOT, check=False).returncode


def _bench(words: list[str]) -> None:
    command = [sys.executable, "-m", "tests.bench", *words]
    project.exit_status = subprocess.run(command, cwd=ROOT, check=False).returncode
