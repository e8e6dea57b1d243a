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
            elif len(token) > 1:
                part += token.replace("[!", "[^", 1).replace("\\", r"\\")
            else:
                part += re.escape(token)
        parts.append(part)
    return re.compile(f"(?:{'|'.join(parts)})(?:/|\\Z)".encode(), re.DOTALL)
