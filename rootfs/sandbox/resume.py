"""Resumes an interrupted build where Ninja stopped.

<directory>/step           the id of the step, and the boot id of the machine
<directory>/log            names each command as it starts
<directory>/sandbox.json   the sandbox: /source and /build as they were left, /dest empty again

An interruption does not change the result: Ninja repeats each action that it has not logged as
finished (`plan.compiling.styles.resumable`). A build starts from the beginning instead
- after a reboot: a power cut may lose the content of a file and keep its name;
- after a person entered the sandbox;
- after the work directory or the cache was moved: the sandbox has their paths.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from plan.compiling import styles
from plan.errors import BuildError
from plan.model import Step
from rootfs.archives.files import fresh_directory
from rootfs.sandbox.enter import BASE, Sandbox

BOOT = Path("/proc/sys/kernel/random/boot_id")


def mark(directory: Path, step_id: str) -> None:
    """Record that the sandbox in `directory` belongs to the step `step_id` and is untouched."""
    (directory / "step").write_text(_mark(step_id))


def unmark(directory: Path) -> None:
    """Record that the build in `directory` must not be resumed."""
    (directory / "step").unlink(missing_ok=True)


def interrupted_at(step: Step, directory: Path, step_id: str) -> int:
    """The index of the command to resume with in `directory`; 0 if the build starts again."""
    try:
        log = (directory / "log").read_text(errors="replace")
        if (directory / "step").read_text() != _mark(step_id):
            return 0
        kept_sandbox(directory)
    except (OSError, BuildError):
        return 0
    headers = [f"+ {shlex.join(command.argv)}\n" for command in step.commands]
    started = max((number for number, text in enumerate(headers) if text in log), default=0)
    return max((n for n in range(started + 1) if styles.resumable(step.commands[n])), default=0)


def kept_sandbox(directory: Path) -> Sandbox:
    """The sandbox of an earlier run in `directory`, with everything written in it.

    Raises BuildError if the directory or an input of the sandbox was moved, or what is kept of it
    cannot be read.
    """
    file = directory / "sandbox.json"
    try:
        spec: Mapping[str, Any] = json.loads(file.read_text())
        here = spec["base"] == os.fspath(directory / BASE)
        places = [*_places(spec)]
    except (ValueError, LookupError, TypeError) as error:
        hint = "build the package again"
        raise BuildError(f"is damaged: {error}", where=os.fspath(file), hint=hint) from error
    if not here or not all(map(os.path.exists, places)):
        raise BuildError(
            "the work directory or the cache was moved since this build started",
            where=os.fspath(directory),
            hint="build the package again",
        )
    # The file has the commands too; they are not needed here.
    return Sandbox(directory, spec["root"], spec["mounts"], spec["environment"])


def resumed(directory: Path, environment: Mapping[str, str]) -> Sandbox:
    """The kept sandbox with an empty /dest; `environment` replaces its job variables."""
    kept = kept_sandbox(directory)
    fresh_directory(directory / "new-dest")
    return Sandbox(directory, kept.root, kept.mounts, {**kept.environment, **environment})


def _places(spec: Mapping[str, Any]) -> Iterator[str]:
    """All host paths that the sandbox `spec` uses."""
    for mount in (spec["root"], *spec["mounts"]):
        yield from mount.get("overlay", ())
        yield from (mount[key] for key in ("bind", "upper", "work") if key in mount)


def _mark(step_id: str) -> str:
    return f"{step_id} {BOOT.read_text().strip()}\n"
