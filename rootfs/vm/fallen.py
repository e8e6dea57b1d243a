"""Watches a console for a program that does not stay up: plan/program/ended prints the line.

notes.cr:12:3 … Unhandled exception: …        what the program said last
=== bq2 notes does not stay up: it ended with the status 1
"""

from __future__ import annotations

import re

from plan.errors import BuildError
from rootfs.vm.transcript import last_lines

_FALLEN = re.compile(rb"=== bq2 ([\w-]+ does not stay up: [^\r\n]*)\r*\n")
# What plan/program/ended says of each earlier end.
_AGAIN = b" and is started again"
_KEPT = 1 << 14  # bytes, for the last lines and for a line that comes in pieces
_LINES = 40  # enough for what an exception says


class Watch:
    """What a console said last, up to the line that a program does not stay up."""

    def __init__(self) -> None:
        self._text = b""
        self._fallen = ""

    def heard(self, data: bytes) -> bool:
        """Take the next piece of the console. True once a program did not stay up."""
        if not self._fallen:
            self._text = (self._text + data)[-_KEPT - len(data) :]
            if found := _FALLEN.search(self._text):
                self._fallen = found[1].decode(errors="replace")
                self._text = self._text[: found.start()]
        return bool(self._fallen)

    def require_up(self, where: str) -> None:
        """Raise BuildError, with the last lines, if a program did not stay up."""
        if self._fallen:
            last = self._text.rpartition(_AGAIN)[2]
            lines = "\n".join(f"    {line}" for line in last_lines(last, _LINES))
            raise BuildError(self._fallen, where=where, hint=f"the console said before:\n{lines}")
