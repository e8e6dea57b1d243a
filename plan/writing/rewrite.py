"""Changes values in a YAML file that a person wrote, and keeps all other bytes.

    text ──compose──▶ nodes with marks ──▶ the place of a value ──▶ text with another one there

Comments, quotes, blank lines and the order of the keys stay. A list is changed item by item, so the
comments of other items stay too. A text with several lines becomes a block (`|`). The result is
parsed again: if it does not have the wanted value, BuildError is raised.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from plan.errors import BuildError
from plan.writing.yamltext import STEP, block_lines, inline, item_lines, key_lines

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class _Spot:
    """A node of the text, its parent, and whether the parent is in flow style (brackets)."""

    node: Any
    parent: Any
    key: Any
    flow: bool


def text_of(path: FilePath) -> str:
    """The text of the file at `path`; unlike read_text(), with its line endings."""
    return path.read_bytes().decode()


def set_value(text: str, path: Sequence[str | int], value: Any, order: Sequence[str] = ()) -> str:
    """`text` with `value` (text, list or mapping) at `path`: keys, and numbers of items.

    A new key is inserted after the keys that precede it in `order`, or else at the end.
    Raises BuildError if the text cannot be changed without touching other bytes.
    """
    path = tuple(path)
    return _checked(text, _set(text, path, value, order), path, value)


def remove(text: str, path: Path) -> str:
    """`text` without the key or item at `path`, which must exist. Raises BuildError."""
    return _checked(text, _remove(text, path), path, None)


# --- changes -----------------------------------------------------------------------------------


def _set(text: str, path: Path, value: Any, order: Sequence[str] = ()) -> str:
    spot = _find(text, path)
    if spot is None:
        return _insert_key(text, path[:-1], str(path[-1]), value, order)
    old = _data(spot.node)
    if old == _texts(value):
        return text
    if isinstance(old, dict) and isinstance(value, Mapping) and old and value:
        for key, each in value.items():
            text = _set(text, (*path, key), each)
        for key in [key for key in old if key not in value]:
            text = _remove(text, (*path, key))
        return text
    if isinstance(old, list) and isinstance(value, list) and old and value:
        return _set_items(text, path, old, value)
    return _replace(text, spot, value)


def _set_items(text: str, path: Path, old: list[Any], new: list[Any]) -> str:
    """Change a list into another with the fewest edits, from its end to its start."""
    before, after = ([json.dumps(_texts(item)) for item in items] for items in (old, new))
    changes = difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    for kind, start, end, new_start, new_end in reversed(changes):
        if kind == "equal":
            continue
        both = min(end - start, new_end - new_start)
        for index in reversed(range(start + both, end)):
            text = _remove(text, (*path, index))
        for item in reversed(new[new_start + both : new_end]):
            text = _insert_item(text, path, start + both, item)
        for offset in range(both):
            text = _set(text, (*path, start + offset), new[new_start + offset])
    return text


def _insert_item(text: str, path: Path, index: int, value: Any) -> str:
    spot = _find(text, path)
    assert spot is not None
    items = spot.node.value
    if spot.flow or spot.node.flow_style:
        if index < len(items):
            place = items[index].start_mark.index
            return f"{text[:place]}{inline(value)}, {text[place:]}"
        place = _end(text, items[-1])
        return f"{text[:place]}, {inline(value)}{text[place:]}"
    column = spot.node.start_mark.column
    if index == 0:
        place = spot.node.start_mark.index - column
    else:
        text, place = _after(text, items[index - 1])
    return text[:place] + "".join(item_lines(value, column)) + text[place:]


def _insert_key(text: str, path: Path, key: str, value: Any, order: Sequence[str]) -> str:
    spot = _find(text, path)
    if spot is None and path:
        return _insert_key(text, path[:-1], str(path[-1]), {key: value}, order)
    if spot is None:
        text = text if text.endswith("\n") or not text else text + "\n"
        return text + "".join(key_lines(key, value, 0))
    if spot.node.id != "mapping":
        raise BuildError("is not a mapping and cannot become one", where=_dotted((*path, key)))
    pairs = spot.node.value
    if spot.flow or spot.node.flow_style:
        place = _end(text, pairs[-1][1]) if pairs else spot.node.start_mark.index + 1
        comma = ", " if pairs else ""
        return f"{text[:place]}{comma}{inline(key)}: {inline(value)}{text[place:]}"
    before = order[: order.index(key)] if key in order else None
    earlier = [pair for pair in pairs if before is None or pair[0].value in before]
    column = pairs[0][0].start_mark.column
    if earlier:
        text, place = _after(text, earlier[-1][1])
    else:
        place = pairs[0][0].start_mark.index - column
    return text[:place] + "".join(key_lines(key, value, column)) + text[place:]


def _remove(text: str, path: Path) -> str:
    spot = _find(text, path)
    assert spot is not None
    if spot.flow:
        return _remove_between_commas(text, spot)
    first = spot.key or spot.node
    start = text.rfind("\n", 0, first.start_mark.index) + 1
    text, end = _after(text, spot.node)
    return text[:start] + text[end:]


def _remove_between_commas(text: str, spot: _Spot) -> str:
    members = spot.parent.value
    starts = [member[0] if isinstance(member, tuple) else member for member in members]
    values = [member[1] if isinstance(member, tuple) else member for member in members]
    index = next(number for number, value in enumerate(values) if value is spot.node)
    if index + 1 < len(members):
        start, end = starts[index].start_mark.index, starts[index + 1].start_mark.index
    else:
        start = _end(text, values[index - 1]) if index else starts[index].start_mark.index
        end = _end(text, spot.node)
    return text[:start] + text[end:]


def _replace(text: str, spot: _Spot, value: Any) -> str:
    node, start, end = spot.node, spot.node.start_mark.index, _end(text, spot.node)
    block = node.id == "scalar" and node.style in ("|", ">")
    if isinstance(value, str) and not spot.flow and (block or "\n" in value):
        return _replace_by_block(text, spot, value)
    if node.id != "scalar" and not node.flow_style and spot.key is not None:
        # The value moves from its own lines to the line of the key.
        start = text.index(":", spot.key.end_mark.index) + 1
        return f"{text[:start]} {inline(value)}{text[end:]}"
    return text[:start] + inline(value, node.style if node.id == "scalar" else None) + text[end:]


def _replace_by_block(text: str, spot: _Spot, value: str) -> str:
    """Write the value as a block of lines; a comment on its first line stays."""
    node, start, end = spot.node, spot.node.start_mark.index, _end(text, spot.node)
    column = spot.key.start_mark.column if spot.key is not None else node.start_mark.column - STEP
    line_end = text.find("\n", start if node.style in ("|", ">") else end)
    line_end = len(text) if line_end < 0 else line_end
    said = text[start:line_end] if node.style in ("|", ">") else text[end:line_end]
    comment = re.search(r"\s+#.*", said)
    indent = _indent_of(text[line_end:end]) or column + STEP
    head, *lines = block_lines(value, column, indent)
    rest = text[max(end, line_end) :]
    body = "".join(lines).removesuffix("\n")
    return f"{text[:start]}{head}{comment[0] if comment else ''}\n{body}{rest}"


# --- positions ---------------------------------------------------------------------------------


def _find(text: str, path: Path) -> _Spot | None:
    import yaml

    # Use the Python scanner: its marks count characters.
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    spot = _Spot(node, None, None, False) if node is not None else None
    for part in path:
        if spot is None or spot.node.id == "scalar":
            return None
        node, flow = spot.node, spot.flow or bool(spot.node.flow_style)
        if node.id == "sequence":
            if not isinstance(part, int) or not 0 <= part < len(node.value):
                raise BuildError(f"there is no item {part!r}", where=_dotted(path))
            spot = _Spot(node.value[part], node, None, flow)
            continue
        found = next((pair for pair in node.value if pair[0].value == part), None)
        spot = _Spot(found[1], node, found[0], flow) if found else None
    return spot


def _end(text: str, node: Any) -> int:
    """The end of `node`. The end mark of a block is the start of the next node, after comments."""
    if node.id != "scalar" and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(text, last[1] if isinstance(last, tuple) else last)
    start, end = node.start_mark.index, node.end_mark.index
    block = node.id == "scalar" and node.style in ("|", ">")
    return start + len(text[start:end].rstrip()) if block else int(end)


def _after(text: str, node: Any) -> tuple[str, int]:
    """The text, with a newline at its end, and the index of the line after `node`."""
    text = text if text.endswith("\n") else text + "\n"
    return text, text.index("\n", _end(text, node)) + 1


def _indent_of(lines: str) -> int:
    found = re.search(r"\n( +)\S", lines)
    return len(found[1]) if found else 0


def _dotted(path: Path) -> str:
    return ".".join(map(str, path))


# --- the check ---------------------------------------------------------------------------------


def _checked(before: str, after: str, path: Path, value: Any) -> str:
    import yaml

    wanted = _data(yaml.compose(before, Loader=yaml.SafeLoader))
    try:
        found = _data(yaml.compose(after, Loader=yaml.SafeLoader))
    except yaml.YAMLError:
        found = None
    # yaml.compose returns None for a text without keys.
    if (found or {}) != _with(wanted or {}, path, value):
        raise BuildError(
            "cannot be changed as it is written", where=_dotted(path), hint="edit it by hand"
        )
    return after


def _with(data: Any, path: Path, value: Any) -> Any:
    """`data` with `value` at `path`, or without that item if `value` is None."""
    first, rest = path[0], path[1:]
    if isinstance(first, int):
        replaced = [_with(data[first], rest, value)] if rest else [_texts(value)]
        return [
            *data[:first],
            *([] if value is None and not rest else replaced),
            *data[first + 1 :],
        ]
    changed = dict(data)
    if rest:
        changed[first] = _with(changed.get(first, {}), rest, value)
    elif value is None:
        changed.pop(first)
    else:
        changed[first] = _texts(value)
    return changed


def _data(node: Any) -> Any:
    if node is None:
        return None
    if node.id == "scalar":
        return node.value
    if node.id == "sequence":
        return [_data(item) for item in node.value]
    return {key.value: _data(value) for key, value in node.value}


def _texts(value: Any) -> Any:
    """`value` as it is read back: all scalars are text."""
    if isinstance(value, Mapping):
        return {key: _texts(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_texts(item) for item in value]
    return value if value is None else str(value)
