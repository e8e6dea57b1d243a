"""The one exception that library code raises.

Whoever catches it (only `tasks/` does) can print it as it is: the message says what is
wrong, `where` says where (a file and line, a URL, a step), `hint` what to do about it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BuildError(Exception):
    """Something that a person has to know about and can act on.

    message: one sentence without a full stop: what is wrong.
    where: the place: "plan/recipes/zlib.yaml:12", a URL, "pkg:zlib (sysroot-from-seed)".
    hint: the remedy, as a sentence or a command.
    """

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return inert(f"{text}\n  {self.hint}" if self.hint else text)


# What a terminal does not print but obeys, as what it is written as: C0 but tab and newline, C1.
_OBEYED = {code: f"\\x{code:02x}" for code in (*range(9), *range(11, 32), *range(127, 160))}


def inert(text: str) -> str:
    """`text` without what would steer a terminal: names and logs come from anywhere."""
    return text.replace("\r\n", "\n").translate(_OBEYED)


def nearest(word: str, known: Iterable[str], *, listed: Iterable[str] = ()) -> str:
    """A hint for a misspelt `word`: the nearest of `known`, or all of them when none is near.

    `listed`: what to list then instead, where all would be too many.
    """
    candidates = sorted(known)
    close = difflib.get_close_matches(word, candidates, n=1)
    if close:
        return f"did you mean {close[0]}?"
    return "known: " + ", ".join(sorted(listed) or candidates)
