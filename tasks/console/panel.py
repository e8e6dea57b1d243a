"""The live panel below the output of a run on a terminal: the running steps and the remaining time.

    pkg:zlib            built in 3 s …          ◀─ finished steps scroll above
    llvm                12:40  [1234/2971] 17 min left
    openssl              0:31
    31 of 62 | about 48 min to go | 12:51 | memory 20.1 of 23.5 GB free | disk 58 GB free

It is drawn once a second and whenever something is printed, never wider or higher than the
terminal. In between, the cursor is at its beginning: so it can be erased from there, whatever a
resize did to its lines.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.console import console, interrupt
from tasks.console.console import toned
from tasks.console.countdown import LATE, Countdown
from tasks.console.echo import Echo
from tasks.engine.records.duration import in_words
from tasks.engine.records.watch import Running

if TYPE_CHECKING:
    from tasks.console.views import Plain
    from tasks.engine.project import Project
    from tasks.engine.records.events import Event

GB = 1e9
NAME = 19  # columns of a name, as in the lines above the panel
WIDE = 60  # columns of a terminal that has room for this
# To the end of the screen, to the end of the line (ECMA-48: ED, EL).
ERASE, ERASE_LINE = "\x1b[J", "\x1b[K"
SLOW = 0.1  # seconds; if drawing takes longer, the line is slow
REST = 10  # times the drawing's duration: the pause on a slow line

Span = tuple[str, str]
"""A text and its tone (tasks/console/console.py)."""


class Panel:
    """The panel; the lines of `plain` are printed above it."""

    def __init__(self, plain: Plain, project: Project) -> None:
        self.plain, self.project = plain, project
        self.started = time.monotonic()
        self.countdown = Countdown(project.plan.waits, project.settings.jobs)
        self.failed = 0
        self.is_drawn = False
        self.rest_until = 0.0
        self.lock = threading.RLock()
        self.echo = Echo(console.descriptor())
        self.is_paused = False
        console.write_with(self.above)
        interrupt.on_pause.append(self.pause)

    def show(self, event: Event) -> None:
        """Print what `event` says, and count it."""
        with self.lock:
            self._count(event)
        if event["event"] != "progress":
            self.plain.show(event)
        if event["event"] == "over":
            with self.lock:
                self._show([])
                console.write_with(None)

    def _count(self, event: Event) -> None:
        if event["event"] == "forecast":
            self.countdown.expect(event)
        elif event["event"] in ("end", "hit", "same"):
            self.countdown.ended(event["step"])
        self.failed += event["event"] == "failure"

    def pause(self, paused: bool) -> None:
        """Clear the panel while this process is paused; the next `refresh` draws it again."""
        with self.lock:
            self.is_paused = paused
            self._show(self._lines())

    def above(self, text: str, tone: str) -> None:
        """Print `text` above the panel."""
        with self.lock:
            self._show(self._lines(), console.shown(text, tone))

    def refresh(self) -> None:
        """Draw the panel with the current state; on a slow line, less often."""
        with self.lock:
            before = time.monotonic()
            if before < self.rest_until:
                return
            self._show(self._lines())
            took = time.monotonic() - before
            self.rest_until = before + took * REST if took > SLOW else 0.0

    def _show(self, lines: Sequence[str], text: str = "") -> None:
        """Print `text` in place of the panel, and `lines` as the new panel below it, at once."""
        # In the background, the screen has the shell's lines in the place of the panel.
        erased = self.is_drawn and self.echo.is_in_front()
        over = f"\r{ERASE}{text}" if erased and (text or not lines) else text
        if lines:
            self.echo.off()
            # Overwritten and not erased first: it does not flicker.
            up = f"\x1b[{len(lines) - 1}F" if len(lines) > 1 else "\r"
            over += f"{ERASE_LINE}\n".join(lines) + ERASE + up
        if over:
            console.raw(over)
        self.is_drawn = bool(lines)
        if not lines:
            self.echo.on()

    def _lines(self) -> list[str]:
        running = dict(self.project.watch.running)
        if not running or self.is_paused or not self.echo.is_in_front():
            return []
        columns, rows = console.size()
        now = time.monotonic()
        names = max(len(task.partition(":")[2]) for task in running)
        width = NAME if columns >= WIDE else min(names, NAME)
        lines = [self._of_step(task, running, width, now) for task in running]
        lines = [*lines[: max(rows - 2, 0)], self._summary(running, columns, now)]
        return [_cut(spans, columns - 1) for spans in lines]

    def _of_step(
        self, task: str, beside: Mapping[str, Running], width: int, now: float
    ) -> list[Span]:
        running, how_far = beside[task], ("", "")
        if running.steps:
            done, all_steps = running.steps
            left = self.countdown.pace(task, running, now)
            how_far = (f"[{done}/{all_steps}]" + (f" {in_words(left)} left" if left else ""), "")
        elif self.countdown.is_late(task, beside, now):
            how_far = (LATE, "warn")
        name = task.partition(":")[2]
        clock = f" {_clock(now - running.since):>{7 if width == NAME else 5}}"
        return [(f"{name:<{width}}", "name"), (clock, ""), ("  ", ""), how_far]

    def _summary(self, running: dict[str, Running], columns: int, now: float) -> list[Span]:
        """The parts that fit into `columns`; the most important are first."""
        spans: list[Span] = []
        room = columns - 1
        for text, tone in self._parts(running, now):
            separator = " | " if spans else ""
            room -= len(separator) + len(text)
            if room < 0:
                break
            spans += [(separator, "faint"), (text, tone)]
        return spans

    def _parts(self, running: dict[str, Running], now: float) -> Iterator[Span]:
        left = self.countdown
        yield f"{left.all - len(left.costs)} of {left.all}", ""
        if self.failed:
            yield f"{self.failed} failed", "bad"
        yield left.words(running, now), ""
        yield _clock(now - self.started), "faint"
        total, free = _memory()
        yield f"memory {free / GB:.1f} of {total / GB:.1f} GB free", "faint"
        yield f"disk {shutil.disk_usage(self.project.workdir).free / GB:.0f} GB free", "faint"


def _cut(spans: Sequence[Span], width: int) -> str:
    """`spans` as one line of at most `width` columns."""
    line, room = "", width
    for text, tone in spans:
        line += toned(text[:room], tone)
        room -= min(len(text), room)
    return line.rstrip()


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
