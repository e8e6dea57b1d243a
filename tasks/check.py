"""test, bench: run the project's own tests and measurements."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from doit import get_initial_workdir

from tasks.actions import DoitTask, speaking
from tasks.engine.project import Project


def task_test(project: Project) -> DoitTask:
    """run the tests, or only those in PATH…

    test                      all tests; they build and boot the base image
    test tests/plan           these only
    """
    return {"actions": [(speaking(_test), [project])], "pos_arg": "words"}


def task_bench(project: Project) -> DoitTask:
    """measure what the project promises, and a plain tool for comparison

    bench
    """
    return {"actions": [(speaking(_bench), [project])], "pos_arg": "words"}


# All test files run in parallel, the tests of a file one after another: they share its builds.
SIDE_BY_SIDE = ("-n", "auto", "--dist", "loadfile", "--no-loadscope-reorder")


def _test(project: Project, words: list[str]) -> None:
    command = [sys.executable, "-m", "pytest", *(map(_placed, words) if words else SIDE_BY_SIDE)]
    project.exit_status = subprocess.run(command, cwd=project.root, check=False).returncode


def _bench(project: Project, words: list[str]) -> None:
    command = [sys.executable, "-m", "tests.bench", *words]
    project.exit_status = subprocess.run(command, cwd=project.root, check=False).returncode


def _placed(word: str) -> str:
    """`word`; a path, or PATH::NAME, starts at the person's directory."""
    path, colons, name = word.partition("::")
    is_path = ("/" in path or path.endswith(".py")) and (_here() / path).exists()
    return f"{_here() / path}{colons}{name}" if is_path else word


def _here() -> Path:
    """The directory where doit was called: doit itself changes to the directory of dodo.py."""
    return Path(get_initial_workdir() or Path.cwd())
