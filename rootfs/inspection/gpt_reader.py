"""Reads the GUID partition table of a disk (UEFI specification 2.10, chapter 5), strictly.

Both headers and both entry arrays must be valid and equal. The protective MBR must cover the disk.
Partitions must not overlap. Then no firmware or kernel can find another partition on the disk.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from uuid import UUID

from rootfs.image.disk import SECTOR
from rootfs.image.gpt import ENTRY, ENTRY_COUNT, ENTRY_SECTORS, HEADER, protective_mbr
from rootfs.inspection.window import View, Window, damaged

_BOOT_SIGNATURE = b"\x55\xaa"  # UEFI specification 2.10, 5.2.1: the end of every MBR


@dataclass(frozen=True)
class Found:
    """A partition: its content, its type GUID and its name."""

    content: Window
    kind: UUID
    name: str


def partitions(disk: View) -> list[Found]:
    """The partitions of the disk, in disk order. Raises BuildError if a table is damaged."""
    last = disk.size // SECTOR - 1
    if last < 2 * (ENTRY_SECTORS + 1):
        raise damaged(disk.name, "is too small for a partition table")
    if disk.read(SECTOR - len(_BOOT_SIGNATURE), len(_BOOT_SIGNATURE)) != _BOOT_SIGNATURE:
        raise damaged(disk.name, "has no partition table")
    if disk.read(0, SECTOR) != protective_mbr(last):
        raise damaged(disk.name, "its protective MBR does not cover exactly the disk")
    primary, entries = _header(disk, mine=1, other=last, first=2)
    backup, others = _header(disk, mine=last, other=1, first=last - ENTRY_SECTORS)
    if primary["DiskGUID"] != backup["DiskGUID"] or entries != others:
        raise damaged(disk.name, "the two partition tables differ")
    found = [
        _partition(disk, entry, last)
        for entry in map(ENTRY.unpack, _split(entries))
        if any(entry["PartitionTypeGUID"])
    ]
    found.sort(key=lambda each: each.content.start)
    for one, two in pairwise(found):
        if one.content.start + one.content.size > two.content.start:
            raise damaged(disk.name, f"the partitions {one.name} and {two.name} overlap")
    return found


def _split(entries: bytes) -> list[bytes]:
    return [entries[at : at + ENTRY.size] for at in range(0, len(entries), ENTRY.size)]


def _header(disk: View, *, mine: int, other: int, first: int) -> tuple[dict[str, Any], bytes]:
    """The header at LBA `mine`, and its entries at LBA `first`."""
    which = "primary" if mine == 1 else "backup"
    sector = disk.read(mine * SECTOR, SECTOR)
    fields = HEADER.unpack(sector)
    crc = zlib.crc32(HEADER.pack(**fields | {"HeaderCRC32": 0}))
    if fields["Signature"] != b"EFI PART" or fields["HeaderCRC32"] != crc:
        raise damaged(disk.name, f"the checksum of the {which} partition table is wrong")
    expected = {
        "HeaderSize": HEADER.size,
        "MyLBA": mine,
        "AlternateLBA": other,
        "PartitionEntryLBA": first,
        "NumberOfPartitionEntries": ENTRY_COUNT,
        "SizeOfPartitionEntry": ENTRY.size,
    }
    if any(fields[name] != value for name, value in expected.items()) or any(sector[HEADER.size :]):
        raise damaged(disk.name, f"the {which} partition table has an unsupported form")
    entries = disk.read(first * SECTOR, ENTRY_SECTORS * SECTOR)
    if zlib.crc32(entries) != fields["PartitionEntryArrayCRC32"]:
        raise damaged(disk.name, f"the checksum of the {which} partition entries is wrong")
    return fields, entries


def _partition(disk: View, entry: dict[str, Any], last: int) -> Found:
    name = entry["PartitionName"].decode("utf-16-le", "replace").rstrip("\0")
    start, end = entry["StartingLBA"], entry["EndingLBA"]
    if not 2 + ENTRY_SECTORS <= start <= end <= last - 1 - ENTRY_SECTORS:
        raise damaged(disk.name, f"the partition {name} is not inside the disk")
    content = Window(disk, start * SECTOR, (end - start + 1) * SECTOR, f"partition {name}")
    return Found(content, UUID(bytes_le=entry["PartitionTypeGUID"]), name)
