"""The globs by which recipes, seeds and sets leave files out: one meaning everywhere.

`*` and `?` stay within a name, `**` stands for any number of folders, `[…]` for one character of
a set. A glob is anchored at the top, and what matches a folder matches all below it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence


def compiled(globs: Sequence[str]) -> re.Pattern[bytes] | None:
    """One compiled expression for all of `globs`, which matches a path or any folder above it."""
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
            elif len(token) > 1:
                part += token.replace("[!", "[^", 1).replace("\\", r"\\")
            else:
                part += re.escape(token)
        parts.append(part)
    return re.compile(f"(?:{'|'.join(parts)})(?:/|\\Z)".encode(), re.DOTALL)
