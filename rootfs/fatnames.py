"""Names in a FAT directory: the short 8.3 name of every file, and its long name where needed.

A name that is a short name already ("BOOTX64.EFI") takes no long one. Any other keeps its
exact spelling in long-name entries, and gets a short name that is unique in its directory.
(fatgen103, "FAT Long Directory Entries", "Name Limits and Character Sets", "The Basis-Name
Generation Algorithm", "The Numeric-Tail Generation Algorithm")
"""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterable

from plan.errors import BuildError
from rootfs.disk import Record

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
UNITS = 13  # UTF-16 units of a name in one entry
MAXIMUM_UNITS = 255

SHORT_CHARACTERS = frozenset(string.ascii_uppercase + string.digits + "$%'-_@~`!(){}^#&")
FORBIDDEN = frozenset('"*/:<>?\\|\x7f') | frozenset(map(chr, range(32)))


def short_names(names: Iterable[str]) -> dict[str, bytes]:
    """The 11 bytes of the short name of each name of one directory.

    Raises BuildError: a name that FAT cannot hold, names that differ in nothing but case.
    """
    names = list(names)
    _check(names)
    # Names that fit come first, so that no generated name is ever the name of another file.
    result = {name: _padded(name.upper()) for name in names if _is_short(name.upper())}
    taken = set(result.values())
    for name in names:
        if name not in result:
            result[name] = _generated(name, taken)
            taken.add(result[name])
    return result


def name_entries(name: str, short: bytes) -> bytes:
    """The long-name entries that go before the entry with the short name; none if it says all."""
    if _is_short(name):
        return b""
    units = name.encode("utf-16-le")
    if len(units) % (2 * UNITS):
        units += b"\0\0"  # the terminator; the rest of the last entry is filled with FFFF
    count = -(-len(units) // (2 * UNITS))
    units = units.ljust(count * 2 * UNITS, b"\xff")
    entries = []
    for number in range(count, 0, -1):  # the end of the name comes first
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
    """Ties long-name entries to their short name (fatgen103, ChkSum): rotate right, add."""
    total = 0
    for byte in short:
        total = ((total & 1) << 7) + (total >> 1) + byte & 0xFF
    return total


def _check(names: list[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        if not name or name.strip(" .") == "" or name[-1] in " ." or FORBIDDEN & set(name):
            raise BuildError("is not a possible name on FAT", where=repr(name))
        if len(name.encode("utf-16-le", "surrogatepass")) > 2 * MAXIMUM_UNITS:
            raise BuildError("is longer than the 255 characters that FAT allows", where=name)
        if not name.isprintable():
            raise BuildError("has characters that FAT cannot hold", where=repr(name))
        other = seen.setdefault(name.upper(), name)
        if other != name:
            raise BuildError(f"FAT cannot tell it from {other}", where=name)


def _is_short(name: str) -> bool:
    base, dot, extension = name.partition(".")
    if not 1 <= len(base) <= 8 or len(extension) > 3 or (dot and not extension):
        return False
    return set(base + extension) <= SHORT_CHARACTERS


def _padded(name: str) -> bytes:
    base, _, extension = name.partition(".")
    return (base.ljust(8) + extension.ljust(3)).encode("ascii")


def _generated(name: str, taken: set[bytes]) -> bytes:
    """A short name for one that does not fit: what cannot stay replaced, and a number."""
    squeezed = name.upper().replace(" ", "").lstrip(".")
    base, _, extension = squeezed.rpartition(".") if "." in squeezed else (squeezed, "", "")
    base = "".join(c if c in SHORT_CHARACTERS else "_" for c in base.replace(".", ""))
    extension = "".join(c if c in SHORT_CHARACTERS else "_" for c in extension)
    candidates = (f"{base[: 7 - len(str(n))]}~{n}.{extension[:3]}" for n in itertools.count(1))
    return next(short for short in map(_padded, candidates) if short not in taken)
