"""A FAT32 volume, described as a `Disk` (Microsoft FAT specification "fatgen103", 2000).

Guarantees: the same files give the same bytes, in the order of their names; one fixed time, a
given volume id; files lie in one piece. A cluster is one sector, so that a volume of 33 MiB
has the number of clusters that makes it FAT32 and not FAT16.

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
from rootfs.disk import MIB, SECTOR, Disk, Record, extents_of, file_size, round_up
from rootfs.fatnames import ENTRY_SIZE, name_entries, short_names

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
MAXIMUM_CLUSTERS = 0x0FFFFFF5
MAXIMUM_DIRECTORY = 65536 * ENTRY_SIZE
MAXIMUM_FILE = 0xFFFFFFFF

Tree = dict[str, "Tree | Path"]


def volume(
    files: Mapping[str, Path],
    *,
    label: str,
    volume_id: int,
    timestamp: int,
    first_sector: int = 0,
) -> Disk:
    """The smallest volume, in whole MiB, that holds the files.

    files: path on the volume, with slashes, to the file that has the contents. label: at most
    11 ASCII characters. volume_id: 32 bits. timestamp: seconds since 1970, of all that is in it.
    first_sector: where the volume begins on its disk (BPB_HiddSec).
    Raises BuildError: a name that FAT cannot hold, or holds twice; too large a file.
    """
    layout = _Layout(_stamp(timestamp))
    layout.add_directory(_tree(files), parent=None, label=_label(label))
    sectors, fat_sectors = _geometry(len(layout.fat) - 2)
    used = len(layout.fat)
    boot = _boot_sector(sectors, fat_sectors, first_sector, volume_id, _label(label))
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
    """What is in the clusters: the table so far, and (first cluster, origin, size) of all data."""

    stamp: Mapping[str, int]
    fat: list[int] = field(default_factory=lambda: [0x0FFFFF00 | MEDIA, END_OF_CHAIN])
    contents: list[tuple[int, bytes | Path, int]] = field(default_factory=list)

    def allocate(self, size: int) -> int:
        """The first of the clusters, in one run, for `size` bytes; 0, as FAT wants, for none."""
        if not size:
            return 0
        first = len(self.fat)
        self.fat.extend(range(first + 1, first + -(-size // SECTOR)))
        self.fat.append(END_OF_CHAIN)
        return first

    def add_file(self, path: Path) -> tuple[int, int]:
        """(first cluster, size) of a file."""
        size = file_size(path)
        if size > MAXIMUM_FILE:
            raise BuildError("is too large for FAT32: 4 GiB or more", where=str(path))
        first = self.allocate(size)
        self.contents.append((first, path, size))
        return first, size

    def add_directory(self, tree: Tree, *, parent: int | None, label: bytes = b"") -> int:
        """Lay out a directory, then what is in it; returns its first cluster.

        parent: the first cluster of the directory above, None for the root directory.
        """
        names = short_names(sorted(tree))
        heads = {name: name_entries(name, short) for name, short in names.items()}
        size = sum(len(head) + ENTRY_SIZE for head in heads.values())
        size += ENTRY_SIZE if parent is None else 2 * ENTRY_SIZE
        if size > MAXIMUM_DIRECTORY:
            raise BuildError(f"{len(tree)} names are too many for one FAT directory")
        first = self.allocate(size)
        if parent is None:
            data = self.entry(label.ljust(11), VOLUME_ID, 0, 0)
        else:  # "..": 0 stands for the root directory
            above = 0 if parent == ROOT_CLUSTER else parent
            data = self.entry(b".".ljust(11), DIRECTORY, first, 0)
            data += self.entry(b"..".ljust(11), DIRECTORY, above, 0)
        for name, item in sorted(tree.items()):
            if isinstance(item, Path):
                cluster, length = self.add_file(item)
                entry = self.entry(names[name], ARCHIVE, cluster, length)
            else:
                entry = self.entry(
                    names[name], DIRECTORY, self.add_directory(item, parent=first), 0
                )
            data += heads[name] + entry
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
            if isinstance(below, Path):
                raise BuildError(f"{directory} is a file and a directory", where=path)
            tree = below
        tree[name] = files[path]
    return top


def _geometry(used: int) -> tuple[int, int]:
    """(sectors of the volume, sectors of one FAT) for `used` clusters, or the least there may be.

    The size of the FATs is the specification's ("FAT Volume Initialization"), which may take
    a few sectors more than needed: 129 is (256 * sectors per cluster + number of FATs) / 2.
    """
    wanted = max(used, MINIMUM_CLUSTERS)
    if wanted > MAXIMUM_CLUSTERS:
        raise BuildError(f"{used} clusters are too many for FAT32")
    sectors = round_up((RESERVED_SECTORS + wanted) * SECTOR, MIB) // SECTOR
    while True:
        fat_sectors = -(-(sectors - RESERVED_SECTORS) // 129)
        if sectors - RESERVED_SECTORS - 2 * fat_sectors >= wanted:
            return sectors, fat_sectors
        sectors += MIB // SECTOR


def _boot_sector(sectors: int, fat_sectors: int, first: int, volume_id: int, label: bytes) -> bytes:
    return BOOT_SECTOR.pack(
        BS_jmpBoot=b"\xeb\x58\x90",  # a jump over the fields, as the specification requires
        BS_OEMName=b"MSWIN4.1",  # "the recommended setting": some drivers look at it
        BPB_BytsPerSec=SECTOR,
        BPB_SecPerClus=1,
        BPB_RsvdSecCnt=RESERVED_SECTORS,
        BPB_NumFATs=2,
        BPB_Media=MEDIA,
        BPB_SecPerTrk=32,  # 32 * 64 sectors are a MiB: any size of ours is a whole number
        BPB_NumHeads=64,
        BPB_HiddSec=first,
        BPB_TotSec32=sectors,
        BPB_FATSz32=fat_sectors,
        BPB_RootClus=ROOT_CLUSTER,
        BPB_FSInfo=FSINFO_SECTOR,
        BPB_BkBootSec=BACKUP_SECTOR,
        BS_DrvNum=0x80,
        BS_BootSig=0x29,  # the three fields that follow are present
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


def _label(label: str) -> bytes:
    if not 0 < len(label) <= 11 or not label.isascii() or label != label.upper():
        raise BuildError("a FAT label has 1 to 11 upper case ASCII characters", where=label)
    return label.encode("ascii")


def _stamp(timestamp: int) -> dict[str, int]:
    """The time fields of a directory entry, in UTC (fatgen103, "Date and Time Formats")."""
    moment = time.gmtime(timestamp)
    if not 1980 <= moment.tm_year <= 2107:
        raise BuildError(f"FAT cannot hold a time of the year {moment.tm_year}")
    date = (moment.tm_year - 1980) << 9 | moment.tm_mon << 5 | moment.tm_mday
    clock = moment.tm_hour << 11 | moment.tm_min << 5 | moment.tm_sec // 2
    dates = dict.fromkeys(("DIR_CrtDate", "DIR_LstAccDate", "DIR_WrtDate"), date)
    return dates | dict.fromkeys(("DIR_CrtTime", "DIR_WrtTime"), clock)
