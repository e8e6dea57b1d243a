"""Makes unified diffs without times, which GNU's and busybox's `patch -p1` both apply.

Busybox ends every changed file with a newline, so the new file here always ends with one. Busybox
also ends a hunk at the mark of a missing newline, so the line with the mark comes last.
"""

from __future__ import annotations

import difflib

NOTHING = "/dev/null"
NO_NEWLINE = "\\ No newline at end of file\n"


def unified(path: str, old: bytes | None, new: bytes | None) -> str:
    """The diff of the file `path` from `old` to `new`; None means that there is no file.

    Empty if both are equal. Bytes that are not UTF-8 are kept with "surrogateescape".
    """
    # GNU's patch ends a name at a space, unless a tab comes after it.
    end = "\t" if " " in path else ""
    names = (
        f"a/{path}{end}" if old is not None else NOTHING,
        f"b/{path}{end}" if new is not None else NOTHING,
    )
    before, after = _lines(old), _lines(_ended(new))
    lines = [*difflib.unified_diff(before, after, *names)]
    last = [line for line in lines if not line.endswith("\n")]
    lines = [line for line in lines if line.endswith("\n")]
    return "".join([*lines, *(f"{line}\n{NO_NEWLINE}" for line in last)])


def _lines(content: bytes | None) -> list[str]:
    """Split into lines at newlines only."""
    text = (content or b"").decode("utf-8", "surrogateescape")
    return [line for line in text.replace("\n", "\n\0").split("\0") if line]


def _ended(content: bytes | None) -> bytes | None:
    return content + b"\n" if content and not content.endswith(b"\n") else content
