"""The live panel below the output of a run on a terminal: the running steps and the remaining time.

    pkg:zlib            built in 3 s …          ◀─ finished steps scroll above
    llvm                [1234/2971] 17 min left   12:40
    openssl                                       0:31
    31 of 62, about 48 min to go · 12:51 · memory 20.1 of 23.5 GB free · disk 58 GB free

It is drawn once a second and whenever something is printed, never wider than the terminal.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.console import console
from tasks.engine.duration import in_words
from tasks.engine.watch import Pace, Running

if TYPE_CHECKING:
    from tasks.console.views import Plain
    from tasks.engine.events import Event
    from tasks.engine.project import Project

GB = 1e9


class Panel:
    """The panel; the lines of `plain` are printed above it."""

    def __init__(self, plain: Plain, project: Project) -> None:
        self.plain, self.project = plain, project
        self.started = time.monotonic()
        self.paces: dict[str, Pace] = {}
        self.left: dict[str, float] = {}
        """Step that has not ended → the seconds that it is expected to take."""
        self.all = 0
        self.drawn = 0
        self.lock = threading.RLock()
        console.write_with(self.above)

    def show(self, event: Event) -> None:
        """Print what `event` says, and count it."""
        if event["event"] == "forecast":
            self.all, self.left = len(event["build"]), dict(event["costs"])
        elif event["event"] in ("end", "hit", "same"):
            self.left.pop(event["step"], None)
        if event["event"] != "progress":
            self.plain.show(event)
        if event["event"] == "over":
            self._erase()
            console.write_with(None)

    def above(self, text: str) -> None:
        """Print `text` above the panel."""
        with self.lock:
            self._erase()
            console.write(text)
            self._draw()

    def refresh(self) -> None:
        """Draw the panel with the current state."""
        with self.lock:
            self._erase()
            self._draw()

    def _erase(self) -> None:
        if self.drawn:
            # Cursor to the panel's first line; erase from there to the end of the screen (ECMA-48).
            console.raw(f"\x1b[{self.drawn}F\x1b[J")
            self.drawn = 0

    def _draw(self) -> None:
        running = self.project.watch.running
        if not running:
            return
        width = shutil.get_terminal_size().columns - 1
        lines = [self._of_step(task, each) for task, each in list(running.items())]
        lines.append(self._summary())
        console.raw("".join(f"{line[:width]}\n" for line in lines))
        self.drawn = len(lines)

    def _of_step(self, task: str, running: Running) -> str:
        now = time.monotonic()
        how_far = ""
        if running.steps:
            done, all_steps = running.steps
            left = self.paces.setdefault(task, Pace()).left(done, all_steps, now)
            how_far = f"[{done}/{all_steps}]" + (f" {in_words(left)} left" if left else "")
        name = task.partition(":")[2]
        return f"{name:<19} {how_far:<28} {_clock(now - running.since)}"

    def _summary(self) -> str:
        left = self._seconds_left() / self.project.settings.jobs
        total, free = _memory()
        disk = shutil.disk_usage(self.project.workdir).free
        parts = [
            f"{self.all - len(self.left)} of {self.all}, about {in_words(left)} to go",
            _clock(time.monotonic() - self.started),
            f"memory {free / GB:.1f} of {total / GB:.1f} GB free",
            f"disk {disk / GB:.0f} GB free",
        ]
        return " | ".join(parts)

    def _seconds_left(self) -> float:
        """The processor time of the steps that have not ended, without their finished parts."""
        seconds = 0.0
        for task, cost in self.left.items():
            running = self.project.watch.running.get(task)
            done, all_steps = (running and running.steps) or (0, 1)
            seconds += cost * (1 - done / all_steps)
        return seconds


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _memory() -> tuple[int, int]:
    """The machine's total and available memory, in bytes (proc(5), meminfo)."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    found = {line.split(":")[0]: int(line.split()[1]) << 10 for line in lines if "kB" in line}
    total = found.get("MemTotal", os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return total, found.get("MemAvailable", 0)
