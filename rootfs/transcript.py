"""The console of a guest that was given a command: recorded, watched, and read for the answer.

The guest's init prints to the serial console, whose terminal ends lines with "\\r\\n":

    (the firmware, the kernel)
    === bq2 run start
    (the command's output)
    === bq2 run exit <status>
    (the kernel's last words)
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import IO

# A command that prints more is a mistake; its output is kept in memory.
LONGEST = 32 << 20

_START = re.compile(rb"=== bq2 run start\r*\n")
# Also behind output that does not end its last line; the newline says that the number is whole.
_EXIT = re.compile(rb"=== bq2 run exit (\d{1,3})\r*\n")
_PANIC = re.compile(rb"Kernel panic - not syncing[^\r\n]*")
# Control sequences of ECMA-48: the firmware and a shell's line editor send them.
_ESCAPE = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]")


def parse(console: bytes) -> tuple[int, str] | None:
    """The exit status and the output of the command in a console's bytes; None: no answer.

    The first start line and the last exit line count, so that a command may print either. The
    terminal's "\\r\\n" becomes the "\\n" that the command had written; bytes that are not UTF-8
    are replaced.
    """
    start = _START.search(console)
    ends = list(_EXIT.finditer(console, start.end())) if start else []
    if not start or not ends:
        return None
    output = console[start.end() : ends[-1].start()]
    return int(ends[-1][1]), output.replace(b"\r\n", b"\n").decode(errors="replace")


def plain(data: bytes) -> bytes:
    """`data` without a terminal's control sequences."""
    return _ESCAPE.sub(b"", data)


def last_lines(text: bytes, count: int = 15) -> list[str]:
    """The last lines of `text` that are not blank, for a message: no control characters."""
    lines = plain(text).decode(errors="replace").splitlines()
    clean = ("".join(c for c in line if c.isprintable() or c == "\t") for line in lines)
    return [line[:200] for line in clean if line.strip()][-count:]


class Transcript:
    """What the console said so far: recorded in a file, and watched for the events that count.

    record: an unbuffered file. started: QEMU's start (time.monotonic()).
    console: all of it. run_started: seconds from QEMU's start to the command's; None: not yet.
    """

    def __init__(self, record: IO[bytes], started: float) -> None:
        self.console = bytearray()
        self.run_started: float | None = None
        self.path = Path(record.name)
        self._record = record
        self._started = started

    def recorded(self, data: bytes) -> bool:
        """Takes the next piece. True when it is too much (LONGEST)."""
        self._record.write(data)
        self.console += data
        return self.too_long

    def heard(self, data: bytes) -> bool:
        """recorded(), and True as soon as no answer can come any more: a panic, or too much.

        After the command's start a panic is only text: the command may have printed it.
        """
        if self.run_started is None:
            recent = bytes(self.console[-100:]) + data
            if _START.search(recent):
                self.run_started = time.monotonic() - self._started
            elif _PANIC.search(recent):
                self.recorded(data)
                return True
        return self.recorded(data)

    @property
    def too_long(self) -> bool:
        return len(self.console) > LONGEST

    @property
    def last_line(self) -> bytes:
        """What follows the last newline, without control sequences: perhaps a prompt."""
        return plain(bytes(self.console[-4096:])).rsplit(b"\n", 1)[-1]

    def complaint(self, within_s: float | None) -> str:
        """Why there is no answer, as far as the console tells: the message of an error.

        within_s: the time that the guest was given and has used up; None: it powered off before.
        """
        panic = _PANIC.search(self.console)
        running = self.run_started is not None
        if self.too_long:
            return f"the console got more than {LONGEST >> 20} MiB"
        if panic:
            return f"the guest's kernel panicked: {panic[0].decode(errors='replace')}"
        if within_s is None:
            done = "the command had ended" if running else "it had answered"
            return f"the guest powered off before {done}"
        done = "the command did not end" if running else "the guest did not answer"
        return f"{done} within {within_s:g} s"
