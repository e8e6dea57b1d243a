"""Reads the sections of an ELF file (System V ABI, chapter 4).

identification ─▶ header ─▶ section header table ─▶ names, from the table's string section
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from rootfs.compare.bytes import Bytes

MAGIC = b"\x7fELF"
CLASSES = {1: "32", 2: "64"}
ORDERS = {1: "<", 2: ">"}
# e_shoff, e_shentsize, e_shnum, e_shstrndx: the rest of the header is skipped.
HEADERS = {"32": "16x16xI10xHHH", "64": "16x24xQ10xHHH"}
# sh_name, sh_type, sh_flags, sh_offset, sh_size
SECTIONS = {"32": "III4xII", "64": "IIQ8xQQ"}

SHT_PROGBITS, SHT_NOBITS = 1, 8
SHF_EXECINSTR = 4


@dataclass(frozen=True)
class Section:
    """A section: its name, and the offset and size of its bytes in the file."""

    name: str
    offset: int
    size: int
    is_data: bool
    """Whether it has the program's own data, not code or tables that depend on the data."""


def sections(data: Bytes) -> list[Section]:
    """The sections with bytes in the ELF file `data`, in the order of its table.

    Empty if it is not an ELF file, or is damaged.
    """
    if data[:4] != MAGIC or len(data) < 6:
        return []
    size, order = CLASSES.get(data[4], ""), ORDERS.get(data[5], "")
    if not size or not order:
        return []
    try:
        start, each, count, names = struct.unpack_from(order + HEADERS[size], data)
        rows = [
            struct.unpack_from(order + SECTIONS[size], data, start + number * each)
            for number in range(count)
        ]
        strings = rows[names][3]
        found = [_section(data, strings, row) for row in rows]
    except (struct.error, IndexError, OverflowError):
        return []
    return [section for section in found if section.size]


def _section(data: Bytes, strings: int, row: tuple[int, ...]) -> Section:
    name, kind, flags, offset, size = row
    end = data.find(b"\0", strings + name)
    text = data[strings + name : end].decode(errors="replace")
    is_data = kind == SHT_PROGBITS and not flags & SHF_EXECINSTR
    return Section(text, offset, 0 if kind == SHT_NOBITS else size, is_data)
