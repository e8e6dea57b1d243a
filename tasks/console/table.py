"""Rows as columns that fit into the terminal: the last column is wrapped."""

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
        wrapped = textwrap.wrap(row[-1], room, break_on_hyphens=False) or [""]
        yield (line + wrapped[0]).rstrip()
        yield from (start + each for each in wrapped[1:])
