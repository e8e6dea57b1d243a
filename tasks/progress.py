"""A line now and then for a build that takes long: how far Ninja is, and how long it will take.

log ──tail──▶ the last "[done/all]" ──▶ "1234 of 2583, about 21 min to go"
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

SECONDS = 60
_STEP = re.compile(rb"^\[(\d+)/(\d+)\] ", re.MULTILINE)


@contextmanager
def told(log: Path, say: Callable[[str], None], seconds: float = SECONDS) -> Iterator[None]:
    """While the block runs, say every `seconds` how far the build that writes `log` is."""
    over = threading.Event()
    thread = threading.Thread(target=_tell, args=(log, say, seconds, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _tell(log: Path, say: Callable[[str], None], seconds: float, over: threading.Event) -> None:
    estimate = Estimate()
    while not over.wait(seconds):
        steps = last_steps(log)
        if steps:
            say(estimate.text(*steps, time.monotonic()))


def last_steps(log: Path) -> tuple[int, int] | None:
    """The last "[done/all]" in the end of the file `log`, if there is one."""
    try:
        with log.open("rb") as file:
            file.seek(-min(64 << 10, os.fstat(file.fileno()).st_size), os.SEEK_END)
            found = _STEP.findall(file.read())
    except OSError:
        return None
    return (int(found[-1][0]), int(found[-1][1])) if found else None


class Estimate:
    """How long it will take, by the pace since the first look."""

    def __init__(self) -> None:
        self.first: tuple[int, float] | None = None
        self.all = 0

    def text(self, done: int, all_steps: int, now: float) -> str:
        """What to say at the time `now` (seconds)."""
        if self.first is None or all_steps != self.all or done < self.first[0]:
            self.first, self.all = (done, now), all_steps
        steps, started = self.first
        pace = (now - started) / (done - steps) if done > steps else None
        left = f", about {pace * (all_steps - done) / 60:.0f} min to go" if pace else ""
        return f"{done} of {all_steps}{left}"
