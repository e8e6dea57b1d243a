"""test, bench: run the project's own tests and measurements."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from plan.errors import BuildError
from plan.typed import typed
from tasks.actions import DoitTask, caller_directory, speaking
from tasks.console.interrupt import run_here
from tasks.engine.project import Project


def task_test(project: Project) -> DoitTask:
    """run the tests, or only those in PATH…

    test                      all tests; they build and boot the base image
    test tests/plan           these only
    test nightly              those that take hours; an interrupted run goes on
    """
    return {"actions": [(speaking(_test), [project])], "pos_arg": "words"}


def task_bench(project: Project) -> DoitTask:
    """measure what the project promises, and a plain tool for comparison

    bench                     the quick measurements: two minutes
    bench cold                also a whole build of set=base, in a cache of its own
    """
    return {"actions": [(speaking(_bench), [project])], "pos_arg": "words"}


# All test files run in parallel, the tests of a file one after another: they share its builds.
# One file more than there are processors: tests also wait, for machines, servers and timeouts.
_FILES_AT_ONCE = (os.cpu_count() or 1) + 1
SIDE_BY_SIDE = ("-n", f"{_FILES_AT_ONCE}", "--dist", "loadfile", "--no-loadscope-reorder")


def _test(project: Project, words: list[str]) -> None:
    if words[:1] == ["nightly"]:
        _run(project, "tests.nightly", [*map(_placed, words[1:])])
    else:
        _run(project, "pytest", [*map(_placed, words)] or SIDE_BY_SIDE)


def _bench(project: Project, words: list[str]) -> None:
    if unknown := [word for word in words if word != "cold"]:
        hint = f"{typed('bench')}, or {typed('bench cold')}"
        raise BuildError(f"bench knows no {unknown[0]!r}", hint=hint)
    _run(project, "tests.bench", words)


def _run(project: Project, module: str, words: Sequence[str]) -> None:
    """Run a Python module; its status is that of this command."""
    command = [sys.executable, "-m", module, *words]
    project.exit_status = run_here(command, project.root)


def _placed(word: str) -> str:
    """`word`; a path, or PATH::NAME, starts at the person's directory."""
    path, colons, name = word.partition("::")
    there = caller_directory() / path
    is_path = ("/" in path or path.endswith(".py")) and there.exists()
    return f"{there}{colons}{name}" if is_path else word
