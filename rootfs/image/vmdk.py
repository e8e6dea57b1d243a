"""Writes disks as VMDK files of the type monolithicSparse (VMware, Virtual Disk Format 1.1).

Grains of zeros are not stored, and nothing is compressed. The same disk gives the same bytes.

    header | descriptor | tables, redundant | tables | padding | grains with data, in order
                          each: a directory of the tables, then the tables
"""

from __future__ import annotations

import struct
from array import array
from typing import IO

from rootfs.image.blocks import Blocks
from rootfs.image.disk import SECTOR, Disk, Record, round_up

GRAIN_SECTORS = 128
GRAIN = GRAIN_SECTORS * SECTOR
ENTRIES = 512  # of a grain table
TABLE_SECTORS = 4 * ENTRIES // SECTOR
DESCRIPTOR_SECTORS = 20
MAGIC = 0x564D444B
HEADER = Record(  # SparseExtentHeader
    "<",
    magicNumber="I",
    version="I",
    flags="I",
    capacity="Q",
    grainSize="Q",
    descriptorOffset="Q",
    descriptorSize="Q",
    numGTEsPerGT="I",
    rgdOffset="Q",
    gdOffset="Q",
    overHead="Q",
    uncleanShutdown="B",
    endOfLine="4s",
    compressAlgorithm="H",
    pad="433s",
)
# The name of the extent is that of no file: the descriptor is in the same file as the grains.
DESCRIPTOR = """\
# Disk DescriptorFile
version=1
CID={cid:08x}
parentCID=ffffffff
createType="monolithicSparse"

# Extent description
RW {sectors} SPARSE "disk.vmdk"

# The Disk Data Base
#DDB

ddb.virtualHWVersion = "4"
ddb.geometry.cylinders = "{cylinders}"
ddb.geometry.heads = "255"
ddb.geometry.sectors = "63"
ddb.adapterType = "lsilogic"
"""


def layout(size: int) -> dict[str, int | bytes]:
    """The fields of the header of a disk of `size` bytes: the size decides all of them."""
    tables = -(-size // (GRAIN * ENTRIES))
    directory = -(-4 * tables // SECTOR)
    redundant = 1 + DESCRIPTOR_SECTORS
    main = redundant + directory + tables * TABLE_SECTORS
    return {
        "magicNumber": MAGIC,
        "version": 1,
        "flags": 3,  # endOfLine is valid; the redundant tables are used
        "capacity": size // SECTOR,
        "grainSize": GRAIN_SECTORS,
        "descriptorOffset": 1,
        "descriptorSize": DESCRIPTOR_SECTORS,
        "numGTEsPerGT": ENTRIES,
        "rgdOffset": redundant,
        "gdOffset": main,
        "overHead": round_up(main + directory + tables * TABLE_SECTORS, GRAIN_SECTORS),
        "endOfLine": b"\n \r\n",
    }


def descriptor(size: int, cid: int) -> bytes:
    """The descriptor of a disk of `size` bytes with the content identifier `cid`."""
    sectors = size // SECTOR
    text = DESCRIPTOR.format(cid=cid, sectors=sectors, cylinders=sectors // (255 * 63))
    return text.encode().ljust(DESCRIPTOR_SECTORS * SECTOR, b"\0")


def write(disk: Disk, out: IO[bytes]) -> None:
    """Write the disk to the empty, seekable file `out`. Raises BuildError as `Blocks` does."""
    blocks, fields = Blocks(disk, GRAIN), layout(disk.size)
    at = int(fields["overHead"])
    places = array("I", bytes(4 * round_up(blocks.count, ENTRIES)))
    for number, grain in blocks:
        out.seek(at * SECTOR)
        out.write(grain)
        places[number] = at
        at += GRAIN_SECTORS
    out.truncate(at * SECTOR)
    cid = blocks.identifier("VMDK").time_low & 0x7FFFFFFF  # the largest numbers have a meaning
    out.seek(0)
    out.write(HEADER.pack(**fields) + descriptor(disk.size, cid))
    for which in ("rgdOffset", "gdOffset"):
        out.seek(int(fields[which]) * SECTOR)
        out.write(directory(int(fields[which]), len(places) // ENTRIES))
        out.write(struct.pack(f"<{len(places)}I", *places))


def directory(at: int, tables: int) -> bytes:
    """The directory at sector `at` of as many tables, which follow it."""
    first = at + -(-4 * tables // SECTOR)
    entries = struct.pack(f"<{tables}I", *(first + n * TABLE_SECTORS for n in range(tables)))
    return entries.ljust((first - at) * SECTOR, b"\0")
