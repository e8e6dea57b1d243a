"""The only entry to the sandbox: runs rootfs/sandbox/namespaces.py from a description.

    Sandbox ──json──▶ rootfs/sandbox/namespaces.py ──report──▶ list of Result, or BuildError

The sandbox ends when the run is interrupted (rootfs/sandbox/started.py). If this process is killed,
it dies with it. A run that takes too long or prints too much is ended.
"""

from __future__ import annotations

import errno
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plan.errors import BuildError
from plan.model import Command
from plan.outputs import unfinished
from plan.room import no_room
from rootfs.archives.files import remove_tree
from rootfs.sandbox import inherited, namespaces
from rootfs.sandbox.remedy import LIMITS, remedy
from rootfs.sandbox.seccomp import refused
from rootfs.sandbox.started import started

HOST_NAME = "bq2"
BASE = "mount"  # in the directory of a sandbox

# The most that one run may add to its log, in bytes: ten times the log of the largest package.
LOG_LIMIT = 256 << 20
_LOOK = 0.2  # seconds between two checks of the log
DEVICES = ("null", "zero", "full", "random", "urandom")
DEVICE_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
}
# Files in /proc that affect the whole machine; some kernels lack some. They belong to user 0, and
# when root builds, user 0 inside is user 0 outside.
MACHINE_FILES = (
    *("sys", "sysrq-trigger", "irq", "bus", "fs"),
    *("acpi", "driver", "dynamic_debug", "mtrr", "scsi"),
)


@dataclass(frozen=True)
class Result:
    """How one command ended. Times in seconds, memory (peak) in bytes."""

    status: int
    seconds: float
    cpu: float
    memory: int


@dataclass(frozen=True)
class Sandbox:
    """An environment to run commands in. `directory` is on the host, for the set-up's own files.

    `root` and `mounts` are mounts as rootfs/sandbox/namespaces.py describes them.
    """

    directory: Path
    root: Mapping[str, Any]
    mounts: Sequence[Mapping[str, Any]]
    environment: Mapping[str, str]
    nested: bool = False
    """Whether sandboxes are made inside: then only the calls that this needs are allowed too."""


def enter(
    place: Sandbox,
    commands: Sequence[Command],
    *,
    log: Path | None,
    interactive: bool = False,
    seconds: float | None = None,
    online: Mapping[str, Any] | None = None,
) -> list[Result]:
    """Run `commands` in turn in `place` and return one Result for each command that ran.

    The first command that fails is the last in the list. Output goes to the file `log`, or to the
    terminal if `interactive`.

    online: a root that replaces the one of `place`, with the host's network: for a person's shell
    (rootfs/sandbox/online.py). `place` has no such part, so what is kept of it never has a network.

    Raises BuildError if the sandbox cannot be made, if all commands
    together take longer than `seconds`, or if they print more than LOG_LIMIT.
    """
    base = place.directory / BASE
    base.mkdir(parents=True, exist_ok=True)
    machine = os.uname().machine
    spec = {
        "base": os.fspath(base),
        "root": place.root,
        "online": online,
        "mounts": place.mounts,
        "environment": place.environment,
        "hostname": HOST_NAME,
        "commands": [{"argv": command.argv, "cwd": command.cwd} for command in commands],
        "log": os.fspath(log) if log else None,
        "interactive": interactive,
        "nested": place.nested,
        "devices": (*DEVICES, "tty") if interactive else DEVICES,
        "links": DEVICE_LINKS,
        "covered": MACHINE_FILES,
        "limited": ("time",) if place.nested else (*LIMITS, "time"),
        "refused": refused(machine, nested=place.nested),
        "sigaction": inherited.sigaction(machine),
        "process": inherited.FILES,
        "limits": inherited.LIMITS,
    }
    spec_file = place.directory / "sandbox.json"
    # Whole or not at all: an interrupted build goes on with it.
    part = unfinished(spec_file)
    try:
        part.write_text(json.dumps(spec, indent=1), encoding="utf-8")
        part.replace(spec_file)
    finally:
        part.unlink(missing_ok=True)
    bounds = _Bounds(log, seconds)
    status, lines = _run(spec_file, bounds, interactive=interactive)
    results = []
    for line in lines:
        if "setup" in line:
            raise _refused(line, place.directory)
        del line["command"]
        results.append(Result(**line))
    if len(results) < len(commands) and all(result.status == 0 for result in results):
        raise BuildError(
            f"the sandbox was killed from outside (status {status})",
            where=os.fspath(spec_file),
            hint="out of memory? see the kernel's log (dmesg)",
        )
    return results


class _Bounds:
    """The time and log size that a run may use."""

    def __init__(self, log: Path | None, seconds: float | None) -> None:
        self.log, self.seconds = log, seconds
        self.start = time.monotonic()
        self.length = _length(log) + LOG_LIMIT

    def check(self) -> None:
        """Raise BuildError if the run used more."""
        if self.seconds is not None and time.monotonic() - self.start > self.seconds:
            raise BuildError(
                f"took longer than {self.seconds / 60:g} min and was ended",
                where=os.fspath(self.log) if self.log else None,
                hint="look at the end of its log; timeout= sets the limit of a step, in minutes",
            )
        if self.log and _length(self.log) > self.length:
            raise BuildError(
                f"printed more than {LOG_LIMIT >> 20} MiB and was ended",
                where=os.fspath(self.log),
                hint="the end of its log shows what it repeats",
            )

    def cut(self) -> None:
        """Truncate the log to its limit."""
        if self.log and _length(self.log) > self.length:
            os.truncate(self.log, self.length)


def _length(log: Path | None) -> int:
    return log.stat().st_size if log and log.exists() else 0


def _run(
    spec_file: Path, bounds: _Bounds, *, interactive: bool
) -> tuple[int, list[dict[str, Any]]]:
    read_end, write_end = os.pipe()
    arguments = [os.fspath(spec_file), str(write_end), str(os.getpid())]
    command = [sys.executable, "-I", "-S", "-B", namespaces.__file__, *arguments]
    try:
        with started(
            command,
            stdin=None if interactive else subprocess.DEVNULL,
            env={},
            pass_fds=(write_end,),
            start_new_session=not interactive,
        ) as process:
            os.close(write_end)
            lines = _reported(read_end, bounds.check)
            return process.wait(), lines
    finally:
        bounds.cut()


def _reported(pipe: int, check: Callable[[], None]) -> list[dict[str, Any]]:
    """Read all JSON lines from `pipe`; call `check` again and again while waiting."""
    text = b""
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    try:
        while True:
            if poll.poll(1000 * _LOOK):
                chunk = os.read(pipe, 1 << 16)
                if not chunk:
                    return [json.loads(line) for line in text.splitlines()]
                text += chunk
            check()
    finally:
        os.close(pipe)


def _refused(line: Mapping[str, Any], directory: Path) -> BuildError:
    number = int(line["errno"])
    reason = errno.errorcode.get(number, str(number))
    return SandboxRefused(
        f"the sandbox cannot be made: {line['setup']} ({line['detail']}) failed with {reason}",
        where="rootfs/sandbox/namespaces.py",
        hint=(line["setup"] == "files" and no_room(OSError(number, ""), directory))
        or remedy(line["setup"], number),
    )


class SandboxRefused(BuildError):
    """The kernel does not let this user make the sandbox."""


def overlay_works(directory: Path) -> bool:
    """Whether an unprivileged overlay works on the file system of `directory`.

    Tries the whole set-up with no command. Raises SandboxRefused if it fails without overlay too.
    """
    directory.mkdir(parents=True, exist_ok=True)
    # `doit doctor` may try this while a build runs: the name has the process id.
    trial = directory / f"overlay-trial-{os.getpid()}"
    try:
        for name in ("lower/proc", "lower/dev", "lower/at", "other", "upper", "work"):
            (trial / name).mkdir(parents=True, exist_ok=True)
        layers = {"overlay": [str(trial / "lower"), str(trial / "other")]}
        upper = {"upper": str(trial / "upper"), "work": str(trial / "work")}
        at = {"at": "/at", **layers, **upper}
        bound = {"at": "/", "bind": str(trial / "lower"), "writable": False}
        try:
            enter(Sandbox(trial, {"at": "/", **layers}, [at], {}), [], log=None)
        except SandboxRefused:
            enter(Sandbox(trial, bound, [], {}), [], log=None)
            return False
        return True
    finally:
        remove_tree(trial)  # overlayfs leaves a directory that nobody may enter
