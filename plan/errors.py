"""The one exception that library code raises.

Library code may catch it to try another way. What reaches `tasks/` is printed unchanged: the
message says what is wrong, `where` says where (a file and line, a URL, a step), and `hint` says
what to do.
"""

from __future__ import annotations

from collections.abc import Iterable


class BuildError(Exception):
    """A problem that a person must know about and can act on.

    message: what is wrong, as one sentence without a full stop.
    where: for example "plan/recipes/zlib.yaml:12", a URL, "pkg:zlib (sysroot-from-seed)".
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


# Control characters (C0 except tab and newline, C1) → their printable escapes.
_OBEYED = {code: f"\\x{code:02x}" for code in (*range(9), *range(11, 32), *range(127, 160))}


def inert(text: str) -> str:
    """`text` with escaped control characters: names and logs must not control the terminal."""
    return text.replace("\r\n", "\n").translate(_OBEYED)


def shortened(word: str) -> str:
    """What a person typed, as errors repeat it: its beginning, if it is very long."""
    return word if len(word) <= 200 else f"{word[:200]}…"


def nearest(word: str, known: Iterable[str], *, listed: Iterable[str] = ()) -> str:
    """A hint for a misspelt `word`: the nearest of `known`, or all of them when none is near.

    `listed`: the words to list instead, if `known` is too long.
    """
    import difflib

    candidates = sorted(known)
    # In "pkg:nope" only the end is compared: the beginning would make every package alike.
    head = word[: word.rfind(":") + 1]
    ends = {each.removeprefix(head): each for each in candidates if each.startswith(head)}
    if not ends:
        head, ends = "", {each: each for each in candidates}
    # Upper and lower case are the same here.
    lower = {end.lower(): each for end, each in ends.items()}
    end = shortened(word.removeprefix(head)).lower()
    if close := difflib.get_close_matches(end, lower, n=1):
        return f"did you mean {lower[close[0]]}?"
    return "known: " + ", ".join(sorted(listed) or candidates)
