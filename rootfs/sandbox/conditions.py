"""Runs a command under other conditions: another user, host name, umask, limits and so on.

Conditions ──json──▶ rootfs/sandbox/apply_conditions.py ──exec──▶ command ──▶ its status
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from subprocess import DEVNULL, STDOUT

from rootfs.sandbox.apply_conditions import REFUSED
from rootfs.sandbox.host import existing
from rootfs.sandbox.started import started

TOP = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Conditions:
    """What differs for a command; rootfs/sandbox/apply_conditions.py describes the fields."""

    user: int | None = None
    host: str | None = None
    umask: int | None = None
    memory: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    limit: int = 0
    above: Sequence[str] = ()
    caller: bool = False
    one_processor: bool = False
    personality: bool = False


def run(
    command: Sequence[str], conditions: Conditions, *, environment: Mapping[str, str], log: Path
) -> int:
    """Run `command` in this project's directory under `conditions`; its output goes to `log`.

    Returns its status: negative if a signal ended it, 125 if the conditions cannot be set.
    """
    spec = json.dumps(asdict(conditions) | {"parent": os.getpid()})
    wrapped = [sys.executable, "-m", "rootfs.sandbox.apply_conditions", spec, *command]
    with log.open("wb") as out:
        streams = {"stdin": DEVNULL, "stdout": out, "stderr": STDOUT}
        with started(wrapped, cwd=TOP, env=environment, **streams) as process:
            return process.wait()


def refused(conditions: Conditions, directory: Path) -> str:
    """Try `conditions` in `directory`: why they cannot be set, or "" if they can."""
    # Before the first build the work directory is not there yet.
    with tempfile.TemporaryDirectory(prefix=".bq2-trial-", dir=existing(directory)) as name:
        log = Path(name) / "log"
        # The directories named in `conditions` do not exist yet: the trial uses its own.
        memory = {name: dict[str, str]()} if conditions.memory else {}
        above = [name] if conditions.above else []
        trial = asdict(conditions) | {"memory": memory, "limit": 1 << 20, "above": above}
        status = run(["true"], Conditions(**trial), environment=os.environ, log=log)
        return log.read_text(errors="replace").strip() if status == REFUSED else ""
