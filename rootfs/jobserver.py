"""One pool of processes for all packages that are built at the same time.

GNU make's protocol (its manual, "POSIX Jobserver Interaction", the named-pipe kind of make 4.4): a
pipe holds a token for each process that may run. Who starts a process beyond its first reads one,
and writes it back when the process is done. The first of each package is taken here.

    jobs=4 ─▶ ●●●● ─┬─ package A: ● to run at all, ●● for its compilers
                    └─ package B: ●

Tools that do not know the protocol (Ninja before 1.13) are told the whole number instead.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Where a step finds it.
PLACE = "/jobserver"
TOKEN = b"+"


class JobServer:
    """A named pipe at `path` with `jobs` tokens, for the steps of this process."""

    def __init__(self, path: Path, jobs: int) -> None:
        self.path, self.jobs = path, jobs
        self._lock = threading.Lock()
        self._running = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        os.mkfifo(path, 0o600)
        os.chown(path, -1, os.getegid())  # a build sees it; the directory may hand down another
        # Open for both: the tokens last as long as somebody has it open, and nothing here blocks.
        self._pipe = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._fill()

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for the token that a step needs to run at all, and give it back after the block."""
        with self._lock:
            self._running += 1
        token = os.read(self._pipe, 1)
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1
                # A step that was killed took tokens along: the last to leave puts things right.
                if self._running:
                    os.write(self._pipe, token)
                else:
                    self._fill()

    def _fill(self) -> None:
        os.set_blocking(self._pipe, False)
        try:
            while os.read(self._pipe, 4096):
                pass
        except BlockingIOError:
            pass
        os.set_blocking(self._pipe, True)
        os.write(self._pipe, TOKEN * self.jobs)

    def environment(self) -> dict[str, str]:
        """What tells the tools of a step: the one thing in its environment that may vary."""
        return {
            "JOBS": str(self.jobs),
            "MAKEFLAGS": f"-j{self.jobs} --jobserver-auth=fifo:{PLACE}",
            "CMAKE_BUILD_PARALLEL_LEVEL": str(self.jobs),
        }
