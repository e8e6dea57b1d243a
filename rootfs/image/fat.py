"""Describes a FAT32 volume as a `Disk` (Microsoft FAT specification "fatgen103", 2000).

The same files give the same bytes: sorted names, one fixed time, a given volume id. Each file is
contiguous. A cluster is one sector: then 33 MiB have enough clusters for FAT32 (fewer mean FAT16).

    sector 0, 6     1, 7     32          32 + n      32 + 2n
    boot sector | FSInfo | FAT ... | second FAT ... | clusters 2, 3, ...
"""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from plan.errors import BuildError
from rootfs.image.disk import MIB, SECTOR, Disk, Record, extents_of, file_size, round_up
from rootfs.image.fat_names import ENTRY_SIZE, name_entries, short_names

BOOT_SECTOR = Record(  # fatgen103, "Boot Sector and BPB", and its FAT32 part
    "<",
    BS_jmpBoot="3s",
    BS_OEMName="8s",
    BPB_BytsPerSec="H",
    BPB_SecPerClus="B",
    BPB_RsvdSecCnt="H",
    BPB_NumFATs="B",
    BPB_RootEntCnt="H",
    BPB_TotSec16="H",
    BPB_Media="B",
    BPB_FATSz16="H",
    BPB_SecPerTrk="H",
    BPB_NumHeads="H",
    BPB_HiddSec="I",
    BPB_TotSec32="I",
    BPB_FATSz32="I",
    BPB_ExtFlags="H",
    BPB_FSVer="H",
    BPB_RootClus="I",
    BPB_FSInfo="H",
    BPB_BkBootSec="H",
    BPB_Reserved="12s",
    BS_DrvNum="B",
    BS_Reserved1="B",
    BS_BootSig="B",
    BS_VolID="I",
    BS_VolLab="11s",
    BS_FilSysType="8s",
    BootCode="420s",
    Signature="H",
)
FSINFO = Record(  # fatgen103, "FAT32 FSInfo Sector Structure and Backup Boot Sector"
    "<",
    FSI_LeadSig="I",
    FSI_Reserved1="480s",
    FSI_StrucSig="I",
    FSI_Free_Count="I",
    FSI_Nxt_Free="I",
    FSI_Reserved2="12s",
    FSI_TrailSig="I",
)
DIRECTORY_ENTRY = Record(  # fatgen103, "FAT 32 Byte Directory Entry Structure"
    "<",
    DIR_Name="11s",
    DIR_Attr="B",
    DIR_NTRes="B",
    DIR_CrtTimeTenth="B",
    DIR_CrtTime="H",
    DIR_CrtDate="H",
    DIR_LstAccDate="H",
    DIR_FstClusHI="H",
    DIR_WrtTime="H",
    DIR_WrtDate="H",
    DIR_FstClusLO="H",
    DIR_FileSize="I",
)
VOLUME_ID, DIRECTORY, ARCHIVE = 0x08, 0x10, 0x20  # DIR_Attr
RESERVED_SECTORS = 32  # BPB_RsvdSecCnt: "for FAT32 volumes, this value is typically 32"
FSINFO_SECTOR, BACKUP_SECTOR = 1, 6
MEDIA = 0xF8  # BPB_Media: a fixed disk
ROOT_CLUSTER = 2
END_OF_CHAIN = 0x0FFFFFFF
# Below 65,525 clusters it is FAT16; "stay at least 16 clusters away" from that number.
MINIMUM_CLUSTERS = 65525 + 16
MAXIMUM_FILE = 0xFFFFFFFF

Tree = dict[str, "Tree | Path"]


def volume(
    files: Mapping[str, Path],
    *,
    label: str,
    volume_id: int,
    timestamp: int,
    first_sector: int = 0,
    spare: int = 0,
) -> Disk:
    """The smallest volume, in whole MiB, that the files fit into, and `spare` more bytes.

    files: path on the volume, with slashes → the file with the contents. label: at most 11 ASCII
    characters. volume_id: 32 bits. timestamp: seconds since 1970, for all entries.
    first_sector: the first sector of the volume on its disk (BPB_HiddSec).
    Raises BuildError for a name that no image of ours has, and for a file that is too large.
    """
    layout = _Layout(_stamp(timestamp))
    layout.add_directory(_tree(files), parent=None, label=label.encode("ascii"))
    sectors, fat_sectors = _geometry(len(layout.fat) - 2 + -(-spare // SECTOR))
    used = len(layout.fat)
    boot = _boot_sector(sectors, fat_sectors, first_sector, volume_id, label.encode("ascii"))
    info = _fsinfo(free=sectors - RESERVED_SECTORS - 2 * fat_sectors - (used - 2), following=used)
    table = struct.pack(f"<{used}I", *layout.fat)
    clusters = RESERVED_SECTORS + 2 * fat_sectors
    placed: list[tuple[int, bytes | Path, int]] = [
        (0, boot + info, 2 * SECTOR),
        (BACKUP_SECTOR, boot + info, 2 * SECTOR),
        (RESERVED_SECTORS, table, len(table)),
        (RESERVED_SECTORS + fat_sectors, table, len(table)),
        *((clusters + first - 2, origin, size) for first, origin, size in layout.contents),
    ]
    return Disk(
        sectors * SECTOR,
        extents_of((sector * SECTOR, origin, size) for sector, origin, size in placed),
    )


@dataclass
class _Layout:
    """The clusters in use: the table so far, and (first cluster, origin, size) of all data."""

    stamp: Mapping[str, int]
    fat: list[int] = field(default_factory=lambda: [0x0FFFFF00 | MEDIA, END_OF_CHAIN])
    contents: list[tuple[int, bytes | Path, int]] = field(default_factory=list)

    def allocate(self, size: int) -> int:
        """Allocate contiguous clusters for `size` bytes; return the first, or 0 for no bytes."""
        if not size:
            return 0
        first = len(self.fat)
        self.fat.extend(range(first + 1, first + -(-size // SECTOR)))
        self.fat.append(END_OF_CHAIN)
        return first

    def add_file(self, path: Path) -> tuple[int, int]:
        """Add a file; return (first cluster, size)."""
        size = file_size(path)
        if size > MAXIMUM_FILE:
            raise BuildError("is too large for FAT32: 4 GiB or more", where=str(path))
        first = self.allocate(size)
        self.contents.append((first, path, size))
        return first, size

    def add_directory(self, tree: Tree, *, parent: int | None, label: bytes = b"") -> int:
        """Add a directory, then its contents; return its first cluster.

        parent: the first cluster of the directory above, None for the root directory.
        """
        names = short_names(tree)
        heads = {name: name_entries(name, short) for name, short in names.items()}
        size = sum(len(head) + ENTRY_SIZE for head in heads.values())
        size += ENTRY_SIZE if parent is None else 2 * ENTRY_SIZE
        first = self.allocate(size)
        if parent is None:
            data = self.entry(label.ljust(11), VOLUME_ID, 0, 0)
        else:  # "..": cluster 0 means the root directory
            above = 0 if parent == ROOT_CLUSTER else parent
            data = self.entry(b".".ljust(11), DIRECTORY, first, 0)
            data += self.entry(b"..".ljust(11), DIRECTORY, above, 0)
        for name, item in sorted(tree.items()):
            if isinstance(item, Path):
                data += heads[name] + self.entry(names[name], ARCHIVE, *self.add_file(item))
            else:
                below = self.add_directory(item, parent=first)
                data += heads[name] + self.entry(names[name], DIRECTORY, below, 0)
        self.contents.append((first, data, size))
        return first

    def entry(self, short: bytes, attributes: int, cluster: int, size: int) -> bytes:
        """One directory entry."""
        return DIRECTORY_ENTRY.pack(
            DIR_Name=short,
            DIR_Attr=attributes,
            DIR_FstClusHI=cluster >> 16,
            DIR_FstClusLO=cluster & 0xFFFF,
            DIR_FileSize=size,
            **self.stamp,
        )


def _tree(files: Mapping[str, Path]) -> Tree:
    """The files in nested directories."""
    top: Tree = {}
    for path in sorted(files):
        *above, name = path.split("/")
        tree = top
        for directory in above:
            below = tree.setdefault(directory, {})
            assert not isinstance(below, Path), f"{path}: a file and a directory"
            tree = below
        tree[name] = files[path]
    return top


def _geometry(used: int) -> tuple[int, int]:
    """(sectors of the volume, sectors of one FAT) for `used` clusters, at least MINIMUM_CLUSTERS.

    The size of the FATs follows the specification ("FAT Volume Initialization") and can be a few
    sectors more than needed: 129 is (256 * sectors per cluster + number of FATs) / 2.
    """
    wanted = max(used, MINIMUM_CLUSTERS)
    sectors = round_up((RESERVED_SECTORS + wanted) * SECTOR, MIB) // SECTOR
    while True:
        fat_sectors = -(-(sectors - RESERVED_SECTORS) // 129)
        if sectors - RESERVED_SECTORS - 2 * fat_sectors >= wanted:
            return sectors, fat_sectors
        sectors += MIB // SECTOR


def _boot_sector(sectors: int, fat_sectors: int, first: int, volume_id: int, label: bytes) -> bytes:
    return BOOT_SECTOR.pack(
        BS_jmpBoot=b"\xeb\x58\x90",  # a jump over the fields, as the specification requires
        BS_OEMName=b"MSWIN4.1",  # "the recommended setting": some drivers check it
        BPB_BytsPerSec=SECTOR,
        BPB_SecPerClus=1,
        BPB_RsvdSecCnt=RESERVED_SECTORS,
        BPB_NumFATs=2,
        BPB_Media=MEDIA,
        BPB_SecPerTrk=32,  # 32 * 64 sectors are 1 MiB: every volume here is whole cylinders
        BPB_NumHeads=64,
        BPB_HiddSec=first,
        BPB_TotSec32=sectors,
        BPB_FATSz32=fat_sectors,
        BPB_RootClus=ROOT_CLUSTER,
        BPB_FSInfo=FSINFO_SECTOR,
        BPB_BkBootSec=BACKUP_SECTOR,
        BS_DrvNum=0x80,
        BS_BootSig=0x29,  # the next three fields are present
        BS_VolID=volume_id,
        BS_VolLab=label.ljust(11),
        BS_FilSysType=b"FAT32   ",
        Signature=0xAA55,
    )


def _fsinfo(*, free: int, following: int) -> bytes:
    return FSINFO.pack(
        FSI_LeadSig=0x41615252,
        FSI_StrucSig=0x61417272,
        FSI_Free_Count=free,
        FSI_Nxt_Free=following,
        FSI_TrailSig=0xAA550000,
    )


def _stamp(timestamp: int) -> dict[str, int]:
    """The time fields of a directory entry, in UTC (fatgen103, "Date and Time Formats")."""
    moment = time.gmtime(timestamp)
    date = (moment.tm_year - 1980) << 9 | moment.tm_mon << 5 | moment.tm_mday
    clock = moment.tm_hour << 11 | moment.tm_min << 5 | moment.tm_sec // 2
    dates = dict.fromkeys(("DIR_CrtDate", "DIR_LstAccDate", "DIR_WrtDate"), date)
    return dates | dict.fromkeys(("DIR_CrtTime", "DIR_WrtTime"), clock)
