"""log: shows the build log of a package, if its last build failed or is running."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from plan.errors import BuildError, inert
from plan.typed import typed
from tasks.actions import DoitTask, speaking
from tasks.console import console
from tasks.engine.builder import Builder
from tasks.engine.project import Project
from tasks.status import on_workers
from tasks.why import steps_named

FOLLOW = 0.3  # seconds between two looks
WAIT = 1.0  # the same, while the step is on a worker


def task_log(project: Project) -> DoitTask:
    """show the build log of pkg:NAME, if it failed or is running; -f follows

    log pkg:zlib
    log -f pkg:zlib           prints new lines until the build ends
    """
    follow = {
        "name": "follow",
        "short": "f",
        "type": bool,
        "default": False,
        "help": "print new lines until the build ends",
    }
    return {"actions": [(speaking(_log), [project])], "pos_arg": "targets", "params": [follow]}


def _log(project: Project, targets: list[str], follow: bool) -> None:
    if not targets:
        raise BuildError("no package is given", hint=typed("log pkg:NAME"))
    if len(targets) > 1:
        hint = typed(f"log {targets[0]}")
        raise BuildError(f"log shows one package, not {len(targets)}", hint=hint)
    builders = [Builder(project, step) for step in steps_named(project, targets[0])]
    away = f"no log of {targets[0]} yet: a worker builds it, its log arrives when it ends"
    if _is_away(project, builders):
        # An older log, of a build here, is not that of this build.
        console.say(away)
        if not follow:
            return
        while _is_away(project, builders):
            time.sleep(WAIT)
    # If both phases have a log, show the newest.
    logs = [builder.directory / "log" for builder in builders]
    kept = sorted((path for path in logs if path.exists()), key=lambda path: path.stat().st_mtime)
    if not kept:
        # Nothing is wrong: logs are only kept of builds that have not succeeded.
        is_here = all(builder.stamp.read() for builder in builders)
        why = "it was built, or came from the store" if is_here else "it was not built here yet"
        console.say(f"no log of {targets[0]}: {why}")
        return
    _print(kept[-1], lambda: follow and kept[-1].exists() and project.lock.holder() is not None)


def _is_away(project: Project, builders: list[Builder]) -> bool:
    """Whether a step of `builders` is on a worker now: its log is not here."""
    away = on_workers(project)
    return any(each.step.task in away for each in builders)


def _print(path: Path, more: Callable[[], bool]) -> None:
    """Print the file, and what is appended while there can be `more`."""
    with path.open(encoding="utf-8", errors="replace") as file:
        while True:
            # Asked first: what a run writes last must not be lost.
            is_over = not more()
            text = file.read(1 << 16)
            if text:
                console.raw(inert(text))
            elif is_over:
                return
            else:
                time.sleep(FOLLOW)
