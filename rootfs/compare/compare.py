"""Compares two trees or two files: the path, the place inside, the bytes, and the likely cause.

    trees ──path──▶ file ──contents.py──▶ place ──cause.py──▶ likely cause

`doit verify` and `doit regenerate` print these differences.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rootfs.archives.tree import Entry, merge
from rootfs.compare.bytes import Bytes, first_difference, mapped
from rootfs.compare.cause import MODE, UNKNOWN, Marks, likely
from rootfs.compare.contents import Place, in_tar, inside

SHOWN = 16
"""Bytes of each side to show."""

AROUND = 256
"""Bytes before and after a difference in which its cause is searched."""

NO_MARKS: Marks = {}


@dataclass(frozen=True)
class Difference:
    """One difference, in words. `path`: of a file in a package, or of the compared file."""

    path: str
    where: str
    old: str
    new: str
    cause: str

    @property
    def lines(self) -> list[str]:
        """The difference as lines to print."""
        rows = [("file", self.path), ("where", self.where), ("old", self.old), ("new", self.new)]
        return [f"{name:<6} {text}" for name, text in [*rows, ("cause", self.cause)] if text]


def trees(old: Path, new: Path, marks: Marks = NO_MARKS) -> Iterator[Difference]:
    """Every path at which the trees `old` and `new` differ, sorted by the bytes of the path.

    marks: words that only one of the two builds knows.
    """
    before, after = ({entry.path: entry for entry in merge([tree])} for tree in (old, new))
    for path in sorted(before.keys() | after.keys(), key=os.fsencode):
        if path not in before:
            yield Difference(f"/{path}", "", "missing", "present", UNKNOWN)
        elif path not in after:
            yield Difference(f"/{path}", "", "present", "missing", UNKNOWN)
        elif found := _entries(before[path], after[path], marks):
            yield found


def files(old: Path, new: Path, path: str, marks: Marks = NO_MARKS) -> Difference | None:
    """The first difference of the files `old` and `new`, reported as `path`; None if equal."""
    with mapped(old) as one, mapped(new) as two:
        if first_difference(one, two) is None:
            return None
        place = in_tar(old, new, one, two) or inside(one, two)
        assert place, "something differs"
        return _shown(path, one, two, place, marks)


def _entries(old: Entry, new: Entry, marks: Marks) -> Difference | None:
    path, one, two = f"/{old.path}", old.status.st_mode, new.status.st_mode
    if one != two:
        cause = MODE if stat.S_IFMT(one) == stat.S_IFMT(two) else UNKNOWN
        return Difference(path, "the mode", stat.filemode(one), stat.filemode(two), cause)
    if old.link != new.link:
        first, second = (each.link or "no other name" for each in (old, new))
        return Difference(path, "the hard link", first, second, UNKNOWN)
    if stat.S_ISLNK(one):
        before, after = (os.fsencode(each.source.readlink()) for each in (old, new))
        at = first_difference(before, after)
        return None if at is None else _shown(path, before, after, Place("the link", at, at), marks)
    return files(old.source, new.source, path, marks) if stat.S_ISREG(one) else None


def _shown(path: str, old: Bytes, new: Bytes, place: Place, marks: Marks) -> Difference:
    moved = f" ({place.new:#x} in the new)" if place.new != place.old else ""
    parts = (place.where, f"offset {place.old:#x}{moved}")
    back = min(AROUND, place.old, place.new)
    before, after = (
        data[at - back : at + AROUND] for data, at in ((old, place.old), (new, place.new))
    )
    return Difference(
        path,
        ", ".join(part for part in parts if part),
        _dump(old, place.old),
        _dump(new, place.new),
        place.cause or likely(before, after, back, marks),
    )


def _dump(data: Bytes, at: int) -> str:
    """The next SHOWN bytes from `at` on, in hexadecimal and as characters."""
    part = data[at : at + SHOWN]
    text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
    return f"{part.hex(' ')}  {text}" if part else "the end"
