"""Goes on with a build that was interrupted, where Ninja left it.

<folder>/step           which step, and which boot of the machine, the folder is of
<folder>/log            names each command as it starts
<folder>/sandbox.json   the sandbox: /source and /build as they were left, /dest empty again

A result does not depend on interruptions: Ninja makes again whatever it has not logged as finished
(`plan.styles.resumable`). After another boot nothing is taken up: what was written shortly before
a power cut may be lost though its name is there. Nor after a person was inside, nor where the work
directory or the cache was moved: the sandbox names them.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from plan import styles
from plan.errors import BuildError
from plan.model import Step
from rootfs.enter import BASE, Sandbox
from rootfs.files import fresh_folder

BOOT = Path("/proc/sys/kernel/random/boot_id")


def mark(folder: Path, step_id: str) -> None:
    """Say that the sandbox in `folder` is that of the step `step_id`, and untouched."""
    (folder / "step").write_text(_mark(step_id))


def unmark(folder: Path) -> None:
    """Never go on with what is in `folder`."""
    (folder / "step").unlink(missing_ok=True)


def interrupted_at(step: Step, folder: Path, step_id: str) -> int:
    """The number of the command to go on with in `folder`; 0 if there is nothing to go on with."""
    try:
        log = (folder / "log").read_text(errors="replace")
        if (folder / "step").read_text() != _mark(step_id):
            return 0
        kept_sandbox(folder)
    except (OSError, BuildError):
        return 0
    headers = [f"+ {shlex.join(command.argv)}\n" for command in step.commands]
    started = max((number for number, text in enumerate(headers) if text in log), default=0)
    return max((n for n in range(started + 1) if styles.resumable(step.commands[n])), default=0)


def kept_sandbox(folder: Path) -> Sandbox:
    """The sandbox that was laid out in `folder`, with all that was written in it.

    Raises BuildError if the folder, or what the sandbox is made of, lay elsewhere then.
    """
    spec: Mapping[str, Any] = json.loads((folder / "sandbox.json").read_text())
    here = spec["base"] == os.fspath(folder / BASE)
    if not here or not all(map(os.path.exists, _places(spec))):
        raise BuildError(
            "the work directory or the cache was moved since this build was laid out",
            where=os.fspath(folder),
            hint="build the package again",
        )
    # The file names the commands that were run too; only the place matters.
    return Sandbox(folder, spec["root"], spec["mounts"], spec["environment"])


def resumed(folder: Path, environment: Mapping[str, str]) -> Sandbox:
    """The kept sandbox with an empty /dest; `environment` replaces what may vary of its own."""
    kept = kept_sandbox(folder)
    fresh_folder(folder / "new-dest")
    return Sandbox(folder, kept.root, kept.mounts, {**kept.environment, **environment})


def _places(spec: Mapping[str, Any]) -> Iterator[str]:
    """All paths outside that the sandbox `spec` is made of."""
    for mount in (spec["root"], *spec["mounts"]):
        yield from mount.get("overlay", ())
        yield from (mount[key] for key in ("bind", "upper", "work") if key in mount)


def _mark(step_id: str) -> str:
    return f"{step_id} {BOOT.read_text().strip()}\n"
