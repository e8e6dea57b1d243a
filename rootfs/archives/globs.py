"""The globs with which recipes, seeds and sets exclude files: the same rules everywhere.

`*` and `?` match within one name, `**` matches any number of directories, `[…]` matches one
character of a set. A glob starts at the top. A glob that matches a directory matches all below it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence


def compiled(globs: Sequence[str]) -> re.Pattern[bytes] | None:
    """One regular expression for all `globs`; it matches a path or any directory above it."""
    if not globs:
        return None
    parts = []
    for glob in globs:
        part = ""
        for token in re.findall(r"\*\*/?|\*|\?|\[[^]]+\]|.", glob.strip("/"), re.DOTALL):
            if token == "**/":
                part += "(?:.*/)?"
            elif token in ("**", "*", "?"):
                part += {"**": ".*", "*": "[^/]*", "?": "[^/]"}[token]
            elif len(token) > 1 and (one_of := _one_of(token)):
                part += one_of
            else:
                part += re.escape(token)
        parts.append(part)
    return re.compile(f"(?:{'|'.join(parts)})(?:/|\\Z)".encode(), re.DOTALL)


def _one_of(token: str) -> str:
    """The set `[…]` as a regular expression; "" if it is none, like `[z-a]`: then it is a text."""
    found = token.replace("[!", "[^", 1).replace("\\", r"\\")
    try:
        re.compile(found)
    except re.error:
        return ""
    return found
