"""One pool of jobs, shared by all packages that are built at the same time.

GNU make's protocol (its manual, "POSIX Jobserver Interaction", the named pipe of make 4.4): a pipe
holds one token for each process that may run. A tool reads a token before it starts a second
process, and writes it back when that process ends. The first token of each package is taken here.

    jobs=4 ─▶ ●●●● ─┬─ package A: ● to run at all, ●● for its compilers
                    └─ package B: ●

Tools that do not know the protocol (Ninja before 1.13) get the total number instead.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# The path in the sandbox.
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
        try:
            os.mkfifo(path, 0o600)
        except OSError as error:
            error.filename = os.fspath(path)  # os.mkfifo does not name it
            raise
        os.chown(path, -1, os.getegid())  # a build sees the group; a setgid directory changes it
        # O_RDWR: the pipe keeps its tokens while it is open, and open() does not block.
        self._pipe = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._fill()

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Take the token that a step needs to run, wait if there is none; return it at the end."""
        with self._lock:
            self._running += 1
        token = os.read(self._pipe, 1)
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1
                # A killed step does not return its tokens: the last step refills the pipe.
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
        """The job variables: the only part of a step's environment that may vary."""
        return {
            "JOBS": str(self.jobs),
            "MAKEFLAGS": f"-j{self.jobs} --jobserver-auth=fifo:{PLACE}",
            "CMAKE_BUILD_PARALLEL_LEVEL": str(self.jobs),
        }
