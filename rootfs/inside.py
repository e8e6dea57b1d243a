"""Where two contents differ: as deep inside as their format can be read.

    tar ─▶ member ─┐
    ar ──▶ member ─┴─▶ ELF ──▶ section ─▶ offset
                       text ─▶ line ────▶ offset

What cannot be read as what it seems to be counts as bytes without a structure.
"""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from pathlib import Path

from rootfs import ar, elf
from rootfs.bytes import Bytes, first_difference
from rootfs.cause import BUILD_ID, MODE, ORDER, TIME, USER

NOTE = ".note.gnu.build-id"
# What a field of a member's header tells.
_FIELDS = {"time": TIME, "uid": USER, "gid": USER, "mode": MODE}


@dataclass(frozen=True)
class Place:
    """Where: in words, and the offsets of the first bytes that differ in the old and the new.

    `cause` is known where the place itself tells it.
    """

    where: str
    old: int
    new: int
    cause: str = ""


def inside(old: Bytes, new: Bytes) -> Place | None:
    """The place of the first difference that tells something; None if there is none."""
    first = first_difference(old, new)
    if first is None:
        return None
    deep = _in_archive(old, new) or _in_elf(old, new) or _in_text(old, new, first)
    return deep or Place("", first, first)


def in_tar(old: Path, new: Path, one: Bytes, two: Bytes) -> Place | None:
    """The same of two uncompressed tar files with the contents `one` and `two`."""
    try:
        with tarfile.open(old, "r:") as first, tarfile.open(new, "r:") as second:
            for before, after in zip(first, second, strict=False):
                headers = (before.offset, before.offset_data), (after.offset, after.offset_data)
                if place := _header(before.name, after.name, one, two, headers):
                    return place
                starts = before.offset_data, after.offset_data
                parts = _part(one, starts[0], before.size), _part(two, starts[1], after.size)
                if place := inside(*parts):
                    return _below(f"member {before.name}", place, *starts)
    except tarfile.TarError:
        pass
    return None


def _header(
    name: str, other: str, one: Bytes, two: Bytes, headers: tuple[tuple[int, int], ...]
) -> Place | None:
    (start, end), (start_2, end_2) = headers
    if name != other:
        return Place(f"the members: {name} or {other}", start, start_2)
    at = first_difference(one[start:end], two[start_2:end_2])
    return None if at is None else Place(f"the header of {name}", start + at, start_2 + at)


def _in_archive(old: Bytes, new: Bytes) -> Place | None:
    before, after = ar.members(old), ar.members(new)
    same = sorted(m.name for m in before) == sorted(m.name for m in after)
    for one, two in zip(before, after, strict=False):
        if one.name != two.name:
            what = f"the members: {one.name} or {two.name}"
            return Place(what, one.header, two.header, ORDER if same else "")
        for field, (start, end) in ar.FIELDS.items():
            at = one.header + start, two.header + start
            if _part(old, at[0], end - start) != _part(new, at[1], end - start):
                return Place(f"{field} of the member {one.name}", *at, _FIELDS.get(field, ""))
        parts = _part(old, one.offset, one.size), _part(new, two.offset, two.size)
        if (place := inside(*parts)) and one.name not in ar.TABLES:
            return _below(f"member {one.name}", place, one.offset, two.offset)
    return None


def _in_elf(old: Bytes, new: Bytes) -> Place | None:
    before, after = ({each.name: each for each in elf.sections(data)} for data in (old, new))
    found = []
    for name in before.keys() & after.keys():
        one, two = before[name], after[name]
        parts = _part(old, one.offset, one.size), _part(new, two.offset, two.size)
        at = first_difference(*parts)
        if at is not None:
            # Code and tables follow from data of another length, and a build id from everything.
            rank = 2 if name == NOTE else 0 if one.is_data else 1
            cause = BUILD_ID if name == NOTE else ""
            place = Place(f"section {name}", one.offset + at, two.offset + at, cause)
            found.append((rank, one.offset, place))
    return min(found, key=lambda each: each[:2])[2] if found else None


def _in_text(old: Bytes, new: Bytes, first: int) -> Place | None:
    contents = old[:], new[:]
    if any(b"\0" in content for content in contents):
        return None
    number = contents[0].count(b"\n", 0, first) + 1
    return Place(f"line {number}", first, first, ORDER if _shuffled(*contents) else "")


def _shuffled(old: bytes, new: bytes) -> bool:
    """Whether two texts are made of the same lines, or of one line with the same words."""
    for parts in (old.splitlines(), new.splitlines()), (old.split(), new.split()):
        if parts[0] != parts[1] and sorted(parts[0]) == sorted(parts[1]):
            return True
    return False


def _part(data: Bytes, start: int, size: int) -> bytes:
    return data[start : start + size]


def _below(name: str, place: Place, old: int, new: int) -> Place:
    """`place`, which counts from the begin of a part, as one of the whole."""
    where = f"{name}, {place.where}" if place.where else name
    return Place(where, old + place.old, new + place.new, place.cause)
