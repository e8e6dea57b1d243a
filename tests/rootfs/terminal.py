"""Runs a Python process on a pty, for tests of what is visible only from outside a process."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import termios
import time
from pathlib import Path

SLOWEST = 60  # seconds: on a busy machine
ROOT = Path(__file__).parents[2]


def gone(pid: int) -> bool:
    """Whether the process has ended within a minute."""
    end = time.monotonic() + SLOWEST
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


class Terminal:
    """A pty with a process on it that runs `code`."""

    def __init__(self, code: str, *argv: str) -> None:
        self.master, self.slave = pty.openpty()
        self.settings = termios.tcgetattr(self.slave)
        self.text = b""
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *argv],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            cwd=ROOT,
            start_new_session=True,
        )

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)

    def expect(self, text: bytes, seconds: float = SLOWEST) -> None:
        """Reads until `text` has appeared after what was expected before."""
        deadline = time.monotonic() + seconds
        while text not in self.text:
            left = deadline - time.monotonic()
            assert left > 0, f"no {text!r} but {self.text!r}"
            if select.select([self.master], [], [], left)[0]:
                self.text += os.read(self.master, 4096)
        self.text = self.text.partition(text)[2]

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def child(self) -> int:
        """The id of the process's first child."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        end = time.monotonic() + SLOWEST
        while time.monotonic() < end:
            children = path.read_text().split()
            if children:
                return int(children[0])
            time.sleep(0.05)
        raise AssertionError("no child")

    def restored(self) -> bool:
        return termios.tcgetattr(self.slave) == self.settings
