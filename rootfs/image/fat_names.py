"""Names in a FAT directory: the short 8.3 name of every file, and a long name if needed.

A name that is already a short name ("BOOTX64.EFI") needs no long name. Any other name is stored
exactly in long-name entries, and gets a short name that is unique in its directory.
(fatgen103, "FAT Long Directory Entries", "Name Limits and Character Sets", "The Basis-Name
Generation Algorithm", "The Numeric-Tail Generation Algorithm")
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Container, Iterable

from plan.errors import BuildError
from rootfs.image.disk import Record

LONG_ENTRY = Record(  # fatgen103, "FAT Long Directory Entry Structure"
    "<",
    LDIR_Ord="B",
    LDIR_Name1="10s",
    LDIR_Attr="B",
    LDIR_Type="B",
    LDIR_Chksum="B",
    LDIR_Name2="12s",
    LDIR_FstClusLO="H",
    LDIR_Name3="4s",
)
ENTRY_SIZE = LONG_ENTRY.size
LONG_NAME = 0x0F  # LDIR_Attr
LAST_LONG_ENTRY = 0x40  # LDIR_Ord of the entry with the end of the name
UNITS = 13  # UTF-16 code units of a name in one entry
# A name of ours: upper case, as firmware looks for it ("BOOTX64.EFI", "BOOTRISCV64.EFI").
_CHARACTER = r"[-A-Z0-9$%'_@~`!(){}^#&]"
_NAME = re.compile(rf"{_CHARACTER}{{1,64}}(\.{_CHARACTER}{{1,3}})?")


def short_names(names: Iterable[str]) -> dict[str, bytes]:
    """The short name, 11 bytes, of each name in one directory.

    Raises BuildError for a name that no image of ours has, though FAT may allow it.
    """
    # Names that fit come first, so that no generated name equals the name of another file.
    result, taken = dict[str, bytes](), set[bytes]()
    for name in sorted(names, key=lambda name: not _is_short(name)):
        if not _NAME.fullmatch(name):
            hint = "up to 64 of A to Z, 0 to 9 and some signs; then perhaps a dot and up to 3"
            raise BuildError("is not a name for FAT", where=repr(name), hint=hint)
        result[name] = _padded(name) if _is_short(name) else _generated(name, taken)
        taken.add(result[name])
    return result


def name_entries(name: str, short: bytes) -> bytes:
    """The long-name entries to write before the short entry; none if the short name is enough."""
    if _is_short(name):
        return b""
    units = name.encode("utf-16-le")
    if len(units) % (2 * UNITS):
        units += b"\0\0"  # the terminator; the rest of the last entry is filled with FFFF
    count = -(-len(units) // (2 * UNITS))
    units = units.ljust(count * 2 * UNITS, b"\xff")
    entries = []
    for number in range(count, 0, -1):  # the entry with the end of the name comes first
        part = units[(number - 1) * 2 * UNITS : number * 2 * UNITS]
        entries.append(
            LONG_ENTRY.pack(
                LDIR_Ord=number | (LAST_LONG_ENTRY if number == count else 0),
                LDIR_Name1=part[:10],
                LDIR_Attr=LONG_NAME,
                LDIR_Chksum=checksum(short),
                LDIR_Name2=part[10:22],
                LDIR_Name3=part[22:],
            )
        )
    return b"".join(entries)


def checksum(short: bytes) -> int:
    """The checksum that links long-name entries to the short name (fatgen103, ChkSum)."""
    total = 0
    for byte in short:
        total = ((total & 1) << 7) + (total >> 1) + byte & 0xFF
    return total


def _is_short(name: str) -> bool:
    return len(name.partition(".")[0]) <= 8


def _padded(name: str) -> bytes:
    base, _, extension = name.partition(".")
    return f"{base:8}{extension:3}".encode("ascii")


def _generated(name: str, taken: Container[bytes]) -> bytes:
    """A short name for one that does not fit: its beginning, and a number."""
    base, dot, extension = name.partition(".")
    candidates = (f"{base[: 7 - len(str(n))]}~{n}{dot}{extension}" for n in itertools.count(1))
    return next(short for short in map(_padded, candidates) if short not in taken)
