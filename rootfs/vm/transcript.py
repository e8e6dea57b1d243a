"""Records the console of a guest that runs a command, and reads the answer from it.

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

# Bytes. The output is kept in memory; a command that prints more is an error.
LONGEST = 32 << 20

_START = re.compile(rb"=== bq2 run start\r*\n")
# It may follow output without a final newline; its own newline shows that the number is complete.
_EXIT = re.compile(rb"=== bq2 run exit (\d{1,3})\r*\n")
_PANIC = re.compile(rb"Kernel panic - not syncing[^\r\n]*")
# Control sequences of ECMA-48: the firmware and a shell's line editor send them.
_ESCAPE = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]")


def parse(console: bytes) -> tuple[int, str] | None:
    """The exit status and the output of the command in a console's bytes; None: no answer.

    The first start line and the last exit line are used: a command may print such lines too. The
    terminal's "\\r\\n" becomes the command's "\\n" again; bytes that are not UTF-8 are replaced.
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
    """The last lines of `text` for a message, without blank lines and control characters."""
    lines = plain(text).decode(errors="replace").splitlines()
    clean = ("".join(c for c in line if c.isprintable() or c == "\t") for line in lines)
    return [line[:200] for line in clean if line.strip()][-count:]


class Transcript:
    """The console's output so far; it is recorded in a file and watched for events.

    record: an unbuffered file. started: the start of QEMU (time.monotonic()). console: all output.
    run_started: seconds from the start of QEMU to the command's; None: not started yet.
    """

    def __init__(self, record: IO[bytes], started: float) -> None:
        self.console = bytearray()
        self.run_started: float | None = None
        self.path = Path(record.name)
        self._record = record
        self._started = started

    def recorded(self, data: bytes) -> bool:
        """Records the next piece. True if the output is longer than LONGEST."""
        self._record.write(data)
        self.console += data
        return self.too_long

    def heard(self, data: bytes) -> bool:
        """As recorded(), and True if no answer can follow: after a panic or too much output.

        After the command's start a panic is ignored: the command may have printed it.
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
    def panicked(self) -> bool:
        """Whether the console has the line of a kernel that panicked."""
        return bool(_PANIC.search(self.console))

    @property
    def last_line(self) -> bytes:
        """The text after the last newline, without control sequences: it may be a prompt."""
        return plain(bytes(self.console[-4096:])).rsplit(b"\n", 1)[-1]

    def complaint(self, within_s: float | None) -> str:
        """The error message for a missing answer, from the console.

        within_s: the time limit that the guest exceeded, in seconds; None: it powered off.
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
