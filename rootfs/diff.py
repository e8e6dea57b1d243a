"""Unified differences that `patch -p1` applies, GNU's and busybox's alike; no time is in them.

Busybox's ends every file that it changes with a newline, so here the new file always has one. And
it takes the mark of a missing newline for the end of a hunk, so the line that has it comes last.
"""

from __future__ import annotations

import difflib

NOTHING = "/dev/null"
NO_NEWLINE = "\\ No newline at end of file\n"


def unified(path: str, old: bytes | None, new: bytes | None) -> str:
    """How the file `path` becomes `new` from `old`; None where there is no such file.

    Empty where both say the same. What is not UTF-8 comes back as it is by "surrogateescape".
    """
    names = (
        f"a/{path}" if old is not None else NOTHING,
        f"b/{path}" if new is not None else NOTHING,
    )
    before, after = _lines(old), _lines(_ended(new))
    lines = [*difflib.unified_diff(before, after, *names)]
    last = [line for line in lines if not line.endswith("\n")]
    lines = [line for line in lines if line.endswith("\n")]
    return "".join([*lines, *(f"{line}\n{NO_NEWLINE}" for line in last)])


def _lines(content: bytes | None) -> list[str]:
    """Lines end at a newline and nowhere else."""
    text = (content or b"").decode("utf-8", "surrogateescape")
    return [line for line in text.replace("\n", "\n\0").split("\0") if line]


def _ended(content: bytes | None) -> bytes | None:
    return content + b"\n" if content and not content.endswith(b"\n") else content
