"""Describes a disk with a GUID partition table (UEFI specification 2.10, chapter 5).

Every byte depends only on the partitions and the identity; nothing is random. Partitions start and
end at MiB boundaries, in the given order.

    LBA 0          1        2..33     2048 ...          -33..-2   -1
    protective MBR | header | entries | partitions ... | entries | header
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import NAMESPACE_URL, UUID, uuid5

from plan.errors import BuildError
from rootfs.image.bootcode import BOOT_CODE
from rootfs.image.disk import MIB, SECTOR, Disk, Extent, Record, round_up

EFI_SYSTEM = UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")  # UEFI 5.3.3
LINUX_FILESYSTEM = UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")  # Discoverable Partitions Spec.

FIRST_PARTITION = MIB  # byte offset of the first partition
ENTRY_COUNT = 128  # UEFI 5.3.2: at least 16,384 bytes are reserved for the entries
NAMESPACE = uuid5(NAMESPACE_URL, "bootstrap-qcow2")

MBR = Record(  # UEFI 5.2.3: a legacy MBR whose first partition record covers the disk
    "<",
    BootCode="440s",
    UniqueMBRDiskSignature="I",
    Unknown="H",
    BootIndicator="B",
    StartingCHS="3s",
    OSType="B",
    EndingCHS="3s",
    StartingLBA="I",
    SizeInLBA="I",
    OtherRecords="48s",
    Signature="H",
)
HEADER = Record(  # UEFI 5.3.2
    "<",
    Signature="8s",
    Revision="I",
    HeaderSize="I",
    HeaderCRC32="I",
    Reserved="I",
    MyLBA="Q",
    AlternateLBA="Q",
    FirstUsableLBA="Q",
    LastUsableLBA="Q",
    DiskGUID="16s",
    PartitionEntryLBA="Q",
    NumberOfPartitionEntries="I",
    SizeOfPartitionEntry="I",
    PartitionEntryArrayCRC32="I",
)
ENTRY = Record(  # UEFI 5.3.3
    "<",
    PartitionTypeGUID="16s",
    UniquePartitionGUID="16s",
    StartingLBA="Q",
    EndingLBA="Q",
    Attributes="Q",
    PartitionName="72s",
)
ENTRY_SECTORS = ENTRY_COUNT * ENTRY.size // SECTOR


@dataclass(frozen=True)
class Partition:
    """content: its bytes. kind: its type GUID. name: unique, at most 36 UTF-16 code units."""

    content: Disk
    kind: UUID
    name: str


def guid(identity: str, what: str) -> UUID:
    """The GUID of the part `what` of the disk `identity`: always the same for the same words."""
    return uuid5(NAMESPACE, f"{identity} {what}")


def partition_guid(identity: str, name: str) -> UUID:
    """The GUID of the partition `name` on the disk `identity`.

    It does not depend on the contents: a kernel command line (`root=PARTUUID=`) can name the
    partition before the disk exists.
    """
    return guid(identity, f"partition {name}")


def disk(partitions: Sequence[Partition], *, identity: str) -> Disk:
    """The disk with the partitions. Raises BuildError for a name that is too long or not unique."""
    _check_names(partitions)
    starts, end = [], FIRST_PARTITION
    for partition in partitions:
        starts.append(end)
        end += round_up(max(partition.content.size, 1), MIB)
    size = round_up(end + (ENTRY_SECTORS + 1) * SECTOR, MIB)
    last = size // SECTOR - 1
    entries = _entries(partitions, starts, identity)
    front, back = tables(entries, last, guid(identity, "disk").bytes_le)
    contents = [
        part
        for start, partition in zip(starts, partitions, strict=True)
        for part in partition.content.moved(start)
    ]
    return Disk(
        size,
        (Extent(0, len(front), front), *contents, Extent(size - len(back), len(back), back)),
    )


def tables(entries: bytes, last: int, disk_guid: bytes) -> tuple[bytes, bytes]:
    """What is before and behind the partitions of a disk whose last LBA is `last`.

    entries: the whole array. The first part begins at LBA 0, the other one ends with the disk.
    """
    primary = _header(entries, mine=1, other=last, last=last, disk_guid=disk_guid)
    backup = _header(entries, mine=last, other=1, last=last, disk_guid=disk_guid)
    front = protective_mbr(last) + primary.ljust(SECTOR, b"\0") + entries
    return front, entries + backup.ljust(SECTOR, b"\0")


def _check_names(partitions: Sequence[Partition]) -> None:
    names = [partition.name for partition in partitions]
    for name in names:
        if names.count(name) > 1:
            raise BuildError("two partitions have the same name", where=name)
        if len(name.encode("utf-16-le")) > 72:
            raise BuildError("the name of a partition is longer than 36 characters", where=name)
    if len(names) > ENTRY_COUNT:
        raise BuildError(f"{len(names)} partitions are more than {ENTRY_COUNT}")


def protective_mbr(last: int) -> bytes:
    """UEFI 5.2.3: one partition of type EE from LBA 1 to the end, for tools without GPT.

    Its boot code tells a person at a machine without UEFI what is missing.
    """
    return MBR.pack(
        BootCode=BOOT_CODE,
        StartingCHS=_chs(1),
        OSType=0xEE,
        EndingCHS=_chs(last),
        StartingLBA=1,
        SizeInLBA=min(last, 0xFFFFFFFF),
        Signature=0xAA55,
    )


def _chs(sector: int) -> bytes:
    """A sector as cylinder, head and sector, for 255 heads and 63 sectors (UEFI 5.2.3).

    All bits are one if the address is too large.
    """
    cylinder, rest = divmod(sector, 255 * 63)
    if cylinder > 1023:
        return b"\xff\xff\xff"
    return bytes((rest // 63, (rest % 63 + 1) | cylinder >> 8 << 6, cylinder & 0xFF))


def _entries(partitions: Sequence[Partition], starts: Sequence[int], identity: str) -> bytes:
    """The array of partition entries, padded to its full size."""
    packed = b"".join(
        ENTRY.pack(
            PartitionTypeGUID=partition.kind.bytes_le,
            UniquePartitionGUID=partition_guid(identity, partition.name).bytes_le,
            StartingLBA=start // SECTOR,
            EndingLBA=(start + round_up(max(partition.content.size, 1), MIB)) // SECTOR - 1,
            PartitionName=partition.name.encode("utf-16-le"),
        )
        for start, partition in zip(starts, partitions, strict=True)
    )
    return packed.ljust(ENTRY_COUNT * ENTRY.size, b"\0")


def _header(entries: bytes, *, mine: int, other: int, last: int, disk_guid: bytes) -> bytes:
    """The header at LBA `mine`; its checksum is computed with the checksum field zero (5.3.2)."""
    fields: dict[str, int | bytes] = {
        "Signature": b"EFI PART",
        "Revision": 0x00010000,
        "HeaderSize": HEADER.size,
        "MyLBA": mine,
        "AlternateLBA": other,
        "FirstUsableLBA": 2 + ENTRY_SECTORS,
        "LastUsableLBA": last - 1 - ENTRY_SECTORS,
        "DiskGUID": disk_guid,
        "PartitionEntryLBA": 2 if mine == 1 else last - ENTRY_SECTORS,
        "NumberOfPartitionEntries": ENTRY_COUNT,
        "SizeOfPartitionEntry": ENTRY.size,
        "PartitionEntryArrayCRC32": zlib.crc32(entries),
    }
    return HEADER.pack(**fields, HeaderCRC32=zlib.crc32(HEADER.pack(**fields)))
