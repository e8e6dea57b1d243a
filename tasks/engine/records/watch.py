"""Reads the logs of running steps: the progress of Ninja, and the remaining time.

start ──▶ watched: log ──tail, every second──▶ last "[done/all]" ──▶ progress events
end, failure ──▶ not watched any more
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rootfs.archives.files import last_bytes
from tasks.engine.records.duration import in_words

if TYPE_CHECKING:
    from tasks.engine.records.events import Event, Events

LOOK = 1.0  # seconds between two looks
KEEP = 10.0  # seconds between two events of one step
_STEP = re.compile(rb"^\[(\d+)/(\d+)\] ", re.MULTILINE)


@dataclass
class Running:
    """A running step: its start time (seconds, monotonic), and the last progress of Ninja."""

    log: Path
    since: float
    steps: tuple[int, int] | None = None
    kept: float = 0.0
    """The time of the last progress event."""


class Watch:
    """The running steps; `listeners` are called after each look at them."""

    def __init__(self, events: Events) -> None:
        self.events = events
        self.running: dict[str, Running] = {}
        self.listeners: list[Callable[[], None]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        events.listeners.append(self._hear)

    def start(self) -> None:
        """Start the watching thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread, if it was started."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def _hear(self, event: Event) -> None:
        if event["event"] == "start":
            self.running[event["step"]] = Running(Path(event["log"]), time.monotonic())
        elif event["event"] in ("end", "failure"):
            self.running.pop(event.get("step", ""), None)

    def _work(self) -> None:
        while not self._over.wait(LOOK):
            self.look()
            for listener in self.listeners:
                listener()

    def look(self) -> None:
        """Read the progress of each step, and emit what changed."""
        now = time.monotonic()
        for step, each in list(self.running.items()):
            steps = last_steps(each.log)
            if steps and steps != each.steps:
                each.steps = steps
                if now - each.kept >= KEEP:
                    each.kept = now
                    self.events.emit("progress", step=step, done=steps[0], all=steps[1])


def last_steps(log: Path) -> tuple[int, int] | None:
    """The last "[done/all]" in the end of the file `log`, if there is one."""
    try:
        found = _STEP.findall(last_bytes(log, 64 << 10))
    except OSError:
        return None
    return (int(found[-1][0]), int(found[-1][1])) if found else None


class Pace:
    """Estimates the remaining time from the progress since the first look."""

    def __init__(self) -> None:
        self.first: tuple[int, float] | None = None
        self.all = 0

    def words(self, done: int, all_steps: int, now: float) -> str:
        """The progress as text at the time `now` (seconds)."""
        left = self.left(done, all_steps, now)
        return f"{done} of {all_steps}" + (f", about {in_words(left)} to go" if left else "")

    def left(self, done: int, all_steps: int, now: float) -> float | None:
        """The remaining seconds at the time `now`, or None if the pace is not known."""
        if self.first is None or all_steps != self.all or done < self.first[0]:
            self.first, self.all = (done, now), all_steps
        steps, started = self.first
        if done == steps:
            return None
        return (now - started) / (done - steps) * (all_steps - done)
