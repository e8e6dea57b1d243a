"""The bytes of a file, in memory or mapped, with the same operations for both."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

Bytes = bytes | mmap.mmap

_CHUNK = 1 << 20


@contextmanager
def mapped(path: Path) -> Iterator[Bytes]:
    """The content of the file `path`, mapped instead of read."""
    with path.open("rb") as file:
        # An empty file cannot be mapped (mmap(2)).
        if not path.stat().st_size:
            yield b""
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            yield content


def first_difference(old: Bytes, new: Bytes) -> int | None:
    """The offset of the first difference, which may be the end of the shorter one; or None."""
    shorter = min(len(old), len(new))
    for start in range(0, shorter, _CHUNK):
        one, two = (each[start : min(start + _CHUNK, shorter)] for each in (old, new))
        if one != two:
            pairs = enumerate(zip(one, two, strict=True))
            return start + next(number for number, (a, b) in pairs if a != b)
    return shorter if len(old) != len(new) else None
