"""The differences between two pieces of plain data: the key, the old value and the new one.

    {"options": ["--a"]} ─┬─▶ options   --a → --b
    {"options": ["--b"]} ─┘

Lists of pairs (a step's environment and files) are compared by their first element. Lists of
tables (a step's commands) are aligned first: an inserted command does not change the others.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from plan.steps.plan import canonical

ABSENT = "nothing"


@dataclass(frozen=True)
class Difference:
    """One value that differs. `old` and `new` are texts for people, "nothing" if absent."""

    key: str
    old: str
    new: str

    def lines(self, key: str) -> list[str]:
        """The difference of `key` as lines; a long text becomes a unified diff."""
        if "\n" not in self.old and "\n" not in self.new:
            return [f"{key}: {self.old} → {self.new}"]
        unified = difflib.unified_diff(
            self.old.splitlines(), self.new.splitlines(), lineterm="", n=1
        )
        return [f"{key}:", *(f"  {line}" for line in list(unified)[2:])]


def differences(old: Any, new: Any, key: str = "") -> Iterator[Difference]:
    """All differences between `old` and `new`, in the order of their keys."""
    if old == new:
        return
    if _tables(old) and _tables(new):
        yield from _side_by_side(old, new, key)
        return
    before, after = _keyed(old), _keyed(new)
    if before is None or after is None:
        yield Difference(key, _text(old), _text(new))
        return
    for name in dict.fromkeys([*before, *after]):
        pair = before.get(name, ABSENT), after.get(name, ABSENT)
        if pair[0] != pair[1] and _text(pair[0]) == _text(pair[1]):
            # A name without a value came or went: a source of which everything is unpacked.
            yield Difference(key, *(name if name in each else ABSENT for each in (before, after)))
        else:
            yield from differences(*pair, f"{key}.{name}" if key else name)


def _side_by_side(old: Sequence[Any], new: Sequence[Any], key: str) -> Iterator[Difference]:
    """The differences between two lists of tables; the numbers are those of the new list."""
    before, after = ([canonical(each) for each in tables] for tables in (old, new))
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for _, a, b, c, d in matcher.get_opcodes():
        pairs = zip_longest(old[a:b], new[c:d], fillvalue=ABSENT)
        for number, pair in enumerate(pairs, c + 1):
            yield from differences(*pair, f"{key}.{number}" if key else str(number))


def _listed(value: Any) -> Sequence[Any]:
    """`value` if it is a list (a text is not), else an empty list."""
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def _tables(value: Any) -> bool:
    listed = _listed(value)
    return bool(listed) and all(isinstance(each, Mapping) for each in listed)


def _keyed(value: Any) -> Mapping[str, Any] | None:
    """`value` as a mapping by name, or None if its parts have no names."""
    if isinstance(value, Mapping):
        return value
    if _listed(value):
        pairs = [isinstance(each, list | tuple) and len(each) == 2 for each in value]
        if all(pairs) and len({str(each[0]) for each in value}) == len(value):
            return {str(first): second for first, second in value}
    return None


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(_text(each) for each in value.values() if each) or ABSENT
    if isinstance(value, list | tuple):
        return " ".join(_text(each) for each in value) or ABSENT
    return str(value) if value not in (None, "", {}) else ABSENT
