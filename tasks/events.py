"""What runs did: one JSON object a line in work/events.jsonl, appended as it happens.

    builder, reporter, products ──emit──▶ events.jsonl ──▶ status, report
                                    └──▶ listeners: what the console shows

Every event has `event`, its kind, `time` (seconds since 1970) and `run`, the same for all of a run:

    run       process, command, set, arch, seed, jobs      the first of a run
    forecast  build, store (steps), costs, seconds         what is going to happen, at most
    hit       step, id, artifact, size, origin             it stands already: in the store, …
    same      step                                         forecast, but stands as it is
    start     step, id, version, log, resumed
    progress  step, done, all                              by Ninja's count
    end       step, id, artifact, size, seconds, cpu, memory, changed
    failure   task, message, and of a step: command, status, error, cause, log, report
    fetched   file, size, place
    note      text                                         something a person may want to know
    product   file, size, seconds
    over      status, seconds                              the last of a run that was not killed

Sizes are in bytes, durations in seconds. A line that cannot be written is lost, and nothing else:
a full disk shall be told by what needs the disk. One that cannot be read is counted and left out.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rootfs.files import last_bytes

Event = Mapping[str, Any]

# When a run begins, a larger file than this is put aside as events.old.jsonl.
LIMIT = 20 << 20  # bytes


class Events:
    """The events of this process's run, if it has begun one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.listeners: list[Callable[[Event], None]] = []
        self.started = time.monotonic()
        self._run: str | None = None
        self._file: int | None = None
        self._lock = threading.Lock()

    def begin(self, **facts: Any) -> None:
        """Begin a run: from now on events are kept."""
        self._run = f"{time.time():.0f}-{os.getpid()}"
        try:
            if self.path.exists() and self.path.stat().st_size > LIMIT:
                self.path.replace(self.path.with_suffix(".old.jsonl"))
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._file = os.open(self.path, flags, 0o644)
            # A run that was killed may have left half a line.
            if os.fstat(self._file).st_size and last_bytes(self.path, 1) != b"\n":
                os.write(self._file, b"\n")
        except OSError:
            self._file = None
        self.emit("run", process=os.getpid(), **facts)

    def emit(self, event: str, **facts: Any) -> None:
        """Keep the event and tell the listeners of it. Before a run has begun it is dropped."""
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
    """The events in the file at `path`, and how many lines of it could not be read."""
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
