"""What is different between two pieces of plain data: the key, the old value and the new one.

    {"options": ["--a"]} ─┬─▶ options   --a → --b
    {"options": ["--b"]} ─┘

Lists of pairs, as steps have them for environment and files, are compared by their first element.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ABSENT = "nothing"


@dataclass(frozen=True)
class Difference:
    """One value that differs. `old` and `new` are texts for people, "nothing" for what is not."""

    key: str
    old: str
    new: str

    def lines(self, key: str) -> list[str]:
        """The difference of `key` as lines: of long texts only what is not in both."""
        if "\n" not in self.old and "\n" not in self.new:
            return [f"{key}: {self.old} → {self.new}"]
        unified = difflib.unified_diff(
            self.old.splitlines(), self.new.splitlines(), lineterm="", n=1
        )
        return [f"{key}:", *(f"  {line}" for line in list(unified)[2:])]


def differences(old: Any, new: Any, key: str = "") -> Iterator[Difference]:
    """All that differs between `old` and `new`, in the order of their keys."""
    if old == new:
        return
    before, after = _keyed(old), _keyed(new)
    if before is None or after is None:
        yield Difference(key, _text(old), _text(new))
        return
    for name in dict.fromkeys([*before, *after]):
        inner = f"{key}.{name}" if key else name
        yield from differences(before.get(name, ABSENT), after.get(name, ABSENT), inner)


def _keyed(value: Any) -> Mapping[str, Any] | None:
    """`value` by names, if its parts have names."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, Sequence) and not isinstance(value, str) and value:
        if all(isinstance(each, Mapping) for each in value):
            return {str(number): each for number, each in enumerate(value, 1)}
        pairs = [isinstance(each, list | tuple) and len(each) == 2 for each in value]
        if all(pairs) and len({str(each[0]) for each in value}) == len(value):
            return {str(first): second for first, second in value}
    return None


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(_text(each) for each in value) or ABSENT
    return str(value) if value not in (None, "", {}) else ABSENT
