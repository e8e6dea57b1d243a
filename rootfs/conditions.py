"""Other conditions for a process: what of the machine and of the caller it finds different.

Conditions ──json──▶ rootfs/varied.py ──exec──▶ command ──▶ its status
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

from rootfs.enter import started
from rootfs.varied import REFUSED

TOP = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Conditions:
    """What a command finds different; rootfs/varied.py says what the fields mean."""

    user: int | None = None
    host: str | None = None
    umask: int | None = None
    memory: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    limit: int = 0
    above: Sequence[str] = ()
    caller: bool = False
    one_processor: bool = False


def run(
    command: Sequence[str], conditions: Conditions, *, environment: Mapping[str, str], log: Path
) -> int:
    """Run `command` in this project's folder under `conditions`; what it prints goes to `log`.

    Returns its status: negative where a signal ended it, 125 where the conditions cannot be had.
    """
    spec = json.dumps(asdict(conditions) | {"parent": os.getpid()})
    wrapped = [sys.executable, "-m", "rootfs.varied", spec, *command]
    with log.open("wb") as out:
        streams = {"stdin": DEVNULL, "stdout": out, "stderr": STDOUT}
        with started(wrapped, cwd=TOP, env=environment, **streams) as process:
            return process.wait()


def refused(conditions: Conditions, folder: Path) -> str:
    """Why `conditions` cannot be had, found by trying in `folder`; "" if they can."""
    with tempfile.TemporaryDirectory(prefix=".bq2-trial-", dir=folder) as name:
        log = Path(name) / "log"
        # The names of folders are those of later; here any other does.
        memory = {name: dict[str, str]()} if conditions.memory else {}
        above = [name] if conditions.above else []
        trial = asdict(conditions) | {"memory": memory, "limit": 1 << 20, "above": above}
        status = run(["true"], Conditions(**trial), environment=os.environ, log=log)
        return log.read_text(errors="replace").strip() if status == REFUSED else ""
