"""What differs between two tables of one recipe, as lines for people."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from plan.recipes import KEYS
from plan.yamlfile import Table
from plan.yamltext import item_lines


def difference(
    before: Table, after: Table, patches: Sequence[str], environment: Mapping[str, str]
) -> list[str]:
    """The lines that tell how `after` differs from `before`: by key, old → new.

    `patches`: those that are added. `environment`: what a variable is where a recipe is silent.
    """
    lines: list[str] = []
    for key in KEYS:
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        if key == "environment":
            lines += _variables(old or {}, new or {}, environment)
        elif KEYS[key] is list:
            shown = difflib.unified_diff(_items(old), _items(new), n=0, lineterm="")
            lines += [f"{key}:", *(f"  {line}" for line in [*shown][2:] if line[:2] != "@@")]
        elif "\n" in (old or "") + (new or ""):
            before_lines, after_lines = ((text or "").splitlines() for text in (old, new))
            shown = difflib.unified_diff(before_lines, after_lines, lineterm="")
            lines += [f"{key}:", *(f"  {line}" for line in [*shown][2:])]
        else:
            lines.append(f"{key}: {old or '-'} → {new or '-'}")
    if patches:
        lines += ["patches:", *(f"  +{name}" for name in patches)]
    return lines


def _variables(
    old: Mapping[str, str], new: Mapping[str, str], environment: Mapping[str, str]
) -> Iterator[str]:
    for name in new:
        before = old.get(name, environment.get(name))
        if before != new[name]:
            yield f"environment {name}: {'-' if before is None else before} → {new[name]}"


def _items(value: Any) -> list[str]:
    lines = (line for item in value or [] for line in item_lines(item, 0))
    return [line.rstrip("\n").removeprefix("- ") for line in lines]
