"""test, bench: the project's own checks."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from tasks.console import speaking
from tasks.project import HERE, ROOT, project


def task_test() -> dict[str, Any]:
    """run the tests, those too that build the base set and boot it; or `doit test PATH…`"""
    return {"actions": [(speaking(_test),)], "pos_arg": "words"}


def task_bench() -> dict[str, Any]:
    """measure what the project promises, beside the plain tool in the same run"""
    return {"actions": [(speaking(_bench),)], "pos_arg": "words"}


def _test(words: list[str]) -> None:
    command = [sys.executable, "-m", "pytest", *map(_placed, words)]
    project.exit_status = subprocess.run(command, cwd=ROOT, check=False).returncode


def _bench(words: list[str]) -> None:
    command = [sys.executable, "-m", "tests.bench", *words]
    project.exit_status = subprocess.run(command, cwd=ROOT, check=False).returncode


def _placed(word: str) -> str:
    """`word`; if it is a path, or PATH::NAME, that of where the person stands."""
    path, colons, name = word.partition("::")
    is_path = ("/" in path or path.endswith(".py")) and (HERE / path).exists()
    return f"{HERE / path}{colons}{name}" if is_path else word
