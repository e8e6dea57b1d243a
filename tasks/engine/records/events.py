"""The events of runs: one JSON object per line in work/events.jsonl, appended at once.

    builder, reporter, products ──emit──▶ events.jsonl ──▶ status, report
                                    └──▶ listeners: what the console shows

Every event has `event` (its kind), `time` (seconds since 1970) and `run` (the same in one run):

    run       process, command, set, arch, seed, jobs      the first of a run
    forecast  build, store, contradicted, waiting (steps), the most that the run will do
              costs, took (of each step), seconds
    hit       step, id, artifact, size, origin             it is known: from the store, …
    same      step                                         in the forecast, but up to date
    start     step, id, version, log, resumed, worker      worker: on one of remote=
    progress  step, done, all                              counted by Ninja
    end       step, id, artifact, size, seconds, cpu, memory, changed
    failure   task, message, and of a step: command, status, error, cause, log, report
    fetched   file, size, place
    note      text                                         a message for people
    product   file, size, seconds
    released                                               others may build: boot, push go on
    over      status, seconds, signal (null: none)         the last, unless the run was killed

Sizes are in bytes, durations in seconds. If a line cannot be written, it is dropped without an
error: the build itself reports a full disk. A line that cannot be read is counted and skipped.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rootfs.archives.files import last_bytes

Event = Mapping[str, Any]

# If the file is larger than this when a run begins, it is renamed to events.old.jsonl.
LIMIT = 20 << 20  # bytes


class Events:
    """The events of this process's run, if it has begun one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.listeners: list[Callable[[Event], None]] = []
        self.started = time.monotonic()
        self._run: str | None = None
        self._file: int | None = None
        # A signal may come while the main thread has the lock, and its handler may emit an event.
        self._lock = threading.RLock()

    def begin(self, **facts: Any) -> None:
        """Begin a run: events are written from now on."""
        self._run = f"{time.time():.0f}-{os.getpid()}"
        try:
            if self.path.exists() and self.path.stat().st_size > LIMIT:
                self.path.replace(self.path.with_suffix(".old.jsonl"))
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._file = os.open(self.path, flags, 0o644)
            # A killed run may have left an incomplete line.
            if os.fstat(self._file).st_size and last_bytes(self.path, 1) != b"\n":
                os.write(self._file, b"\n")
        except OSError:
            self._file = None
        self.emit("run", process=os.getpid(), **facts)

    def emit(self, event: str, **facts: Any) -> None:
        """Write the event and pass it to the listeners. Before a run has begun, drop it."""
        if self._run is None:
            return
        whole = {"event": event, "time": round(time.time(), 3), "run": self._run, **facts}
        with self._lock:
            self._write(whole)
            for listener in self.listeners:
                listener(whole)

    def _write(self, event: Event) -> None:
        if self._file is None:
            return
        try:
            os.write(self._file, (json.dumps(event) + "\n").encode())
        except OSError:
            self._file = None


def read(path: Path) -> tuple[list[Event], int]:
    """The events in the file at `path`, and the number of its unreadable lines."""
    found, broken = [], 0
    try:
        text = path.read_bytes()
    except OSError:
        return [], 0
    for line in text.splitlines():
        try:
            event = json.loads(line)
            if not {"event", "time", "run"} <= event.keys():
                raise ValueError
        except (ValueError, AttributeError):
            broken += 1
            continue
        found.append(event)
    return found, broken


def runs(events: Iterable[Event]) -> Iterator[list[Event]]:
    """The events of each run, in the order of the runs."""
    by_run: dict[str, list[Event]] = {}
    for event in events:
        by_run.setdefault(event["run"], []).append(event)
    yield from by_run.values()
