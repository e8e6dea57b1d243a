"""Changes of single values in an authored YAML file, everything else left byte for byte.

text ──compose──▶ nodes with marks ──▶ the one scalar is cut out, the new one put in its place
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from plan.errors import BuildError


def set_value(text: str, path: Sequence[str | int], value: object) -> str:
    """`text` with the existing plain value at `path` replaced by `value`, quoted as it was.

    Raises BuildError when there is no such value, or when it is none on one line.
    """
    node = _scalar(text, path)
    start, end = node.start_mark.index, node.end_mark.index
    new = str(value)
    for written in (_quoted(new, node.style), json.dumps(new, ensure_ascii=False)):
        changed = text[:start] + written + text[end:]
        if _reads_as(changed, path, new):
            return changed
    raise BuildError(f"{new!r} cannot be written there", where=_where(path))


def _scalar(text: str, path: Sequence[str | int]) -> Any:
    import yaml

    # Not libyaml's loader: its marks do not count the characters of every text.
    node: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    for step in path:
        node = _inside(node, step)
        if node is None:
            raise BuildError("there is no such value", where=_where(path))
    if node.id != "scalar" or node.style in ("|", ">"):
        raise BuildError("is not a plain value on one line", where=_where(path))
    return node


def _inside(node: Any, step: str | int) -> Any:
    if node is not None and node.id == "mapping":
        return next((value for key, value in node.value if key.value == step), None)
    if node is not None and node.id == "sequence" and isinstance(step, int):
        return node.value[step] if 0 <= step < len(node.value) else None
    return None


def _quoted(text: str, style: str | None) -> str:
    if style == "'":
        return "'" + text.replace("'", "''") + "'"
    return json.dumps(text, ensure_ascii=False) if style == '"' else text


def _reads_as(text: str, path: Sequence[str | int], value: str) -> bool:
    import yaml

    try:
        return bool(_scalar(text, path).value == value)
    except (yaml.YAMLError, BuildError):
        return False


def _where(path: Sequence[str | int]) -> str:
    return ".".join(str(step) for step in path)
