"""Writes values as YAML, in the style of the recipes.

Texts of several lines become blocks, lists of names go in brackets, all other lists have one item
a line. A text is quoted if it would mean something else without quotes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_-]*\Z")
WIDTH = 100
STEP = 2


def key_lines(key: str, value: Any, column: int) -> Iterator[str]:
    """The lines of `key` and its `value`, starting at `column`."""
    lead = f"{' ' * column}{inline(key)}:"
    if isinstance(value, str) and "\n" in value:
        head, *lines = block_lines(value, column, column + STEP)
        yield f"{lead} {head}\n"
        yield from lines
    elif isinstance(value, Mapping) and value:
        yield f"{lead}\n"
        for inner, each in value.items():
            yield from key_lines(inner, each, column + STEP)
    elif isinstance(value, list) and value and not _fits(value, lead):
        yield f"{lead}\n"
        for item in value:
            yield from item_lines(item, column + STEP)
    else:
        yield f"{lead} {inline(value)}\n"


def item_lines(value: Any, column: int) -> Iterator[str]:
    """The lines of one list item; the list's dashes are at `column`."""
    lead = f"{' ' * column}- "
    if isinstance(value, Mapping) and value:
        lines = [line for key, each in value.items() for line in key_lines(key, each, len(lead))]
        yield lead + lines[0].lstrip(" ")
        yield from lines[1:]
    else:
        yield f"{lead}{inline(value)}\n"


def _fits(value: list[Any], lead: str) -> bool:
    """Whether `value` is a list of names that fits on one line."""
    words = all(isinstance(item, str) and WORD.match(item) for item in value)
    return words and len(lead) + len(inline(value)) < WIDTH


def block_lines(value: str, column: int, indent: int) -> list[str]:
    """`|` with its indicators, then the lines at `indent`, for a key at `column`."""
    stripped = value.rstrip("\n")
    ending = {0: "-", 1: ""}.get(len(value) - len(stripped), "+")
    # YAML would read a leading space in the first line as indentation.
    inner = str(indent - column) if stripped[:1] in (" ", "\n") else ""
    lines = value.removesuffix("\n").split("\n")
    return [f"|{inner}{ending}", *(f"{' ' * indent if line else ''}{line}\n" for line in lines)]


def inline(value: Any, quote: str | None = None) -> str:
    """`value` on one line; a text is in `quote` if possible."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{inline(k)}: {inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(inline(item) for item in value) + "]"
    text = str(value)
    if quote == "'" and "\n" not in text:
        return "'" + text.replace("'", "''") + "'"
    # A JSON string is also a YAML double-quoted string.
    return text if quote is None and _plain(text) else json.dumps(text, ensure_ascii=False)


def _plain(text: str) -> bool:
    """Whether `text` means itself without quotes, in brackets and outside."""
    import yaml

    for around in (f"[{text}]", f"- {text}", f"[{{{text}: x}}]"):
        try:
            node: Any = yaml.compose(around, Loader=yaml.SafeLoader)
        except yaml.YAMLError:
            return False
        found = node.value[0] if len(node.value) == 1 else node
        if found.id == "mapping":
            found = found.value[0][0]
        if found.id != "scalar" or found.style or found.value != text or found.tag.endswith("null"):
            return False
    return True
