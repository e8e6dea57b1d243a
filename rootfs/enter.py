"""The one door into the sandbox: turns a description into a run of rootfs/sandbox.py.

    Sandbox ──json──▶ rootfs/sandbox.py ──report──▶ list of Result, or BuildError with the remedy

Every process started here is known, so that `stop_all` can end them when the run is interrupted;
should this process be killed, they die with it. What prints without end, or takes longer than it
may, is ended.
"""

from __future__ import annotations

import errno
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plan.errors import BuildError
from plan.model import Command
from plan.room import no_room
from rootfs import sandbox
from rootfs.refused import refused
from rootfs.remedy import remedy

HOST_NAME = "bq2"
BASE = "mount"  # in the folder of a sandbox

# What the log of one run may grow by, in bytes: ten times that of the largest package.
LOG_LIMIT = 256 << 20
_LOOK = 0.2  # seconds between two looks at it
DEVICES = ("null", "zero", "full", "random", "urandom")
DEVICE_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
}
# Files of the whole machine, those of them that there are: read-only, because they belong to
# user 0, and where root builds, user 0 inside is user 0 outside.
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
    """A place to run commands in. `folder` is the host's folder for what the set-up needs.

    `root` and `mounts` are mounts as rootfs/sandbox.py describes them.
    """

    folder: Path
    root: Mapping[str, Any]
    mounts: Sequence[Mapping[str, Any]]
    environment: Mapping[str, str]
    nested: bool = False
    """Whether sandboxes are to be made inside it, which must not find /proc covered."""


_running: set[subprocess.Popen[bytes]] = set()
_lock = threading.Lock()


def stop_all() -> None:
    """Kill every sandbox, and whatever else is running. Namespaces go with their processes."""
    with _lock:
        for process in _running:
            process.kill()


def enter(
    place: Sandbox,
    commands: Sequence[Command],
    *,
    log: Path | None,
    interactive: bool = False,
    seconds: float | None = None,
) -> list[Result]:
    """Run `commands` in turn in `place`, and say how each that was run ended.

    The first that fails is the last in the list. Output goes to the file `log`, or with
    `interactive` to the terminal. Raises BuildError if the sandbox itself cannot be had, if all
    together take longer than `seconds`, or print more than LOG_LIMIT.
    """
    base = place.folder / BASE
    base.mkdir(parents=True, exist_ok=True)
    spec = {
        "base": os.fspath(base),
        "root": place.root,
        "mounts": place.mounts,
        "environment": place.environment,
        "hostname": HOST_NAME,
        "commands": [{"argv": command.argv, "cwd": command.cwd} for command in commands],
        "log": os.fspath(log) if log else None,
        "interactive": interactive,
        "nested": place.nested,
        "devices": (*DEVICES, "tty") if interactive else DEVICES,
        "links": DEVICE_LINKS,
        # Of a covered proc the kernel gives none to namespaces inside this one.
        "covered": () if place.nested else MACHINE_FILES,
        "refused": refused(os.uname().machine),
    }
    spec_file = place.folder / "sandbox.json"
    spec_file.write_text(json.dumps(spec, indent=1), encoding="utf-8")
    bounds = _Bounds(log, seconds)
    status, lines = _run(spec_file, bounds, interactive=interactive)
    results = []
    for line in lines:
        if "setup" in line:
            raise _refused(line, place.folder)
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
    """What a run may take of time and log."""

    def __init__(self, log: Path | None, seconds: float | None) -> None:
        self.log, self.seconds = log, seconds
        self.start = time.monotonic()
        self.length = _length(log) + LOG_LIMIT

    def check(self) -> None:
        """Raise BuildError if it took more; a log is cut then."""
        if self.seconds is not None and time.monotonic() - self.start > self.seconds:
            raise BuildError(
                f"took longer than {self.seconds / 60:g} min and was ended",
                where=os.fspath(self.log) if self.log else None,
                hint="look at the end of its log; timeout= is what a step may take, in minutes",
            )
        if self.log and _length(self.log) > self.length:
            raise BuildError(
                f"printed more than {LOG_LIMIT >> 20} MiB and was ended",
                where=os.fspath(self.log),
                hint="look at the end of its log for what it repeats",
            )

    def cut(self) -> None:
        """Leave no more of the log than there may be."""
        if self.log and _length(self.log) > self.length:
            os.truncate(self.log, self.length)


def _length(log: Path | None) -> int:
    return log.stat().st_size if log and log.exists() else 0


def _run(
    spec_file: Path, bounds: _Bounds, *, interactive: bool
) -> tuple[int, list[dict[str, Any]]]:
    read_end, write_end = os.pipe()
    arguments = [os.fspath(spec_file), str(write_end), str(os.getpid())]
    command = [sys.executable, "-I", "-S", "-B", sandbox.__file__, *arguments]
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


@contextmanager
def started(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A process that `stop_all` ends too; after the block it has ended, by force if need be.

    `options` are those of subprocess.Popen.
    """
    with _lock:
        process = subprocess.Popen(command, **options)
        _running.add(process)
    try:
        yield process
    finally:
        with _lock:
            _running.discard(process)
        if process.poll() is None:
            process.kill()
            process.wait()


def _reported(pipe: int, check: Callable[[], None]) -> list[dict[str, Any]]:
    """All that is written into `pipe`, line by line; calls `check` all the while."""
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


def _refused(line: Mapping[str, Any], folder: Path) -> BuildError:
    number = int(line["errno"])
    reason = errno.errorcode.get(number, str(number))
    return SandboxRefused(
        f"the sandbox cannot be had: {line['setup']} ({line['detail']}) failed with {reason}",
        where="rootfs/sandbox.py",
        hint=(line["setup"] == "files" and no_room(OSError(number, ""), folder))
        or remedy(line["setup"], number),
    )


class SandboxRefused(BuildError):
    """The kernel does not let this user make the sandbox."""


def overlay_works(folder: Path) -> bool:
    """Whether an unprivileged overlay can be had on the file system of `folder`.

    Tries the whole set-up with no command. Raises SandboxRefused if it fails without overlay too.
    """
    import shutil

    folder.mkdir(parents=True, exist_ok=True)
    # `doit doctor` tries it too, while a build may be running.
    trial = folder / f"overlay-trial-{os.getpid()}"
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
        shutil.rmtree(trial, ignore_errors=True)
