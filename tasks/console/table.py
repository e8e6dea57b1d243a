"""Text that fits into the terminal: rows as columns, of which the last is wrapped; long lines."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from tasks.console.console import size

LEAST = 24  # columns of the last cell, however narrow the terminal is


def table(rows: Sequence[Sequence[str]], *, most: int = 20, indent: str = "") -> Iterator[str]:
    """The lines of `rows`, which have the same number of cells.

    A column has the width of its widest cell, at most `most`. A wider cell is not cut: the next one
    begins on a new line. Each line has the `indent`.
    """
    inner = list(zip(*(row[:-1] for row in rows), strict=True))
    widths = [min(max(map(len, column)), most) for column in inner]
    start = indent + " " * sum(width + 2 for width in widths)
    room = max(size()[0] - len(start), LEAST)
    for row in rows:
        line = indent
        for n, (cell, width) in enumerate(zip(row[:-1], widths, strict=True)):
            line += f"{cell:<{width}}  "
            if len(cell) > width:
                yield line.rstrip()
                line = indent + " " * sum(each + 2 for each in widths[: n + 1])
        wrapped = _wrapped(row[-1], room) or [""]
        yield (line + wrapped[0]).rstrip()
        yield from (start + each for each in wrapped[1:])


def folded(line: str) -> str:
    """`line`, wrapped at the width of the terminal; what continues it is indented more."""
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    room = max(size()[0], LEAST)
    return "\n".join(_wrapped(line, room, subsequent_indent=indent))


def _wrapped(text: str, room: int, *, subsequent_indent: str = "") -> list[str]:
    """Lines of at most `room` columns; a path that is longer stays whole."""
    return textwrap.wrap(
        text,
        room,
        subsequent_indent=subsequent_indent,
        break_on_hyphens=False,
        break_long_words=False,
    )
