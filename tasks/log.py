"""log: what the build of a package printed, of the last attempt that failed or is running."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from plan.errors import BuildError, inert
from tasks import console
from tasks.builder import Builder
from tasks.console import speaking
from tasks.project import project
from tasks.why import steps_named

FOLLOW = 0.3  # seconds between two looks


def task_log() -> dict[str, Any]:
    """what the build of pkg:NAME printed, if it failed or is running; -f goes on reading"""
    follow = {
        "name": "follow",
        "short": "f",
        "type": bool,
        "default": False,
        "help": "print what is added, until the build is over",
    }
    return {"actions": [(speaking(_log),)], "pos_arg": "targets", "params": [follow]}


def _log(targets: list[str], follow: bool) -> None:
    if not targets:
        raise BuildError("which package?", hint="doit log pkg:NAME")
    logs = [Builder(project, step).folder / "log" for step in steps_named(targets[0])]
    # Of two phases, the one that was written to last.
    kept = sorted((path for path in logs if path.exists()), key=lambda path: path.stat().st_mtime)
    if not kept:
        raise BuildError(
            f"no log is kept of {targets[0]}: its last build went well, or there was none here",
            hint=f"doit forget {targets[0]} && doit {targets[0]} builds it again",
        )
    _print(kept[-1], follow=follow)


def _print(path: Path, *, follow: bool) -> None:
    with path.open(encoding="utf-8", errors="replace") as file:
        while True:
            text = file.read(1 << 16)
            if text:
                console.raw(inert(text))
            elif not follow or not path.exists():
                return
            else:
                time.sleep(FOLLOW)
