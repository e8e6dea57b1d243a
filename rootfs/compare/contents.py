"""Finds where two contents differ, as precisely as their format allows.

    tar ─▶ member ─┐
    ar ──▶ member ─┴─▶ ELF ──▶ section ─▶ offset
                       text ─▶ line ────▶ offset

Content that is damaged or of another format is compared as plain bytes.
"""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from pathlib import Path

from rootfs.compare import ar, elf
from rootfs.compare.bytes import Bytes, first_difference
from rootfs.compare.cause import BUILD_ID, MODE, ORDER, TIME, USER

NOTE = ".note.gnu.build-id"
# Field of a member's header → cause.
_FIELDS = {"time": TIME, "uid": USER, "gid": USER, "mode": MODE}


@dataclass(frozen=True)
class Place:
    """A place in words, and the offsets of the first different bytes in the old and the new.

    `cause`: set if the place alone shows it.
    """

    where: str
    old: int
    new: int
    cause: str = ""


def inside(old: Bytes, new: Bytes) -> Place | None:
    """The most useful place at which `old` and `new` differ; None if they are equal."""
    first = first_difference(old, new)
    if first is None:
        return None
    deep = _in_archive(old, new) or _in_elf(old, new) or _in_text(old, new, first)
    return deep or Place("", first, first)


def in_tar(old: Path, new: Path, one: Bytes, two: Bytes) -> Place | None:
    """As `inside`, for two uncompressed tar files with the contents `one` and `two`."""
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
            # Data first: other data also changes code and tables, and anything changes a build id.
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
    """Whether two different texts have the same lines, or the same words, in another order."""
    for parts in (old.splitlines(), new.splitlines()), (old.split(), new.split()):
        if parts[0] != parts[1] and sorted(parts[0]) == sorted(parts[1]):
            return True
    return False


def _part(data: Bytes, start: int, size: int) -> bytes:
    return data[start : start + size]


def _below(name: str, place: Place, old: int, new: int) -> Place:
    """Convert `place`, relative to a part, to a place in the whole."""
    where = f"{name}, {place.where}" if place.where else name
    return Place(where, old + place.old, new + place.new, place.cause)
