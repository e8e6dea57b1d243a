"""Writes disks as dynamic VDI files, version 1.1 (VirtualBox, VDICore.h; QEMU, block/vdi.c).

Blocks of zeros are not stored, and nothing is compressed. The same disk gives the same bytes.

    header | map: where each block is stored | blocks with data, in order
"""

from __future__ import annotations

import struct
from array import array
from typing import IO

from rootfs.image.blocks import Blocks
from rootfs.image.disk import MIB, SECTOR, Disk, Record, round_up

BLOCK = MIB  # the only size that QEMU reads
FREE = 0xFFFFFFFF  # in the map: a block of zeros
TITLE = b"<<< Oracle VM VirtualBox Disk Image >>>\n"
SIGNATURE = 0xBEDA107F
HEADER = Record(  # VDIPREHEADER, VDIHEADER1PLUS; the rest of the sector is zeros
    "<",
    szFileInfo="64s",
    u32Signature="I",
    u32Version="I",
    cbHeader="I",
    u32Type="I",
    fFlags="I",
    szComment="256s",
    offBlocks="I",
    offData="I",
    LegacyGeometry="12s",
    cbSector="I",
    u32Dummy="I",
    cbDisk="Q",
    cbBlock="I",
    cbBlockExtra="I",
    cBlocks="I",
    cBlocksAllocated="I",
    uuidCreate="16s",
    uuidModify="16s",
    uuidLinkage="16s",
    uuidParentModify="16s",
    LCHSGeometry="16s",
    unused="40s",
)
FIXED: dict[str, int | bytes] = {  # the fields that are the same in every file
    "szFileInfo": TITLE,
    "u32Signature": SIGNATURE,
    "u32Version": 0x00010001,
    "cbHeader": 400,
    "u32Type": 1,  # dynamic
    "offBlocks": SECTOR,
    "cbSector": SECTOR,
    "cbBlock": BLOCK,
}


def first_block(count: int) -> int:
    """The offset of the first stored block, after the map of `count` blocks."""
    return round_up(SECTOR + 4 * count, BLOCK)


def write(disk: Disk, out: IO[bytes]) -> None:
    """Write the disk to the empty, seekable file `out`. Raises BuildError as `Blocks` does."""
    blocks = Blocks(disk, BLOCK)
    data = first_block(blocks.count)
    places = array("I", [FREE]) * blocks.count
    stored = 0
    for number, block in blocks:
        out.seek(data + stored * BLOCK)
        out.write(block)
        places[number] = stored
        stored += 1
    out.truncate(data + stored * BLOCK)
    out.seek(0)
    header = HEADER.pack(
        **FIXED,
        offData=data,
        cbDisk=disk.size,
        cBlocks=blocks.count,
        cBlocksAllocated=stored,
        uuidCreate=blocks.identifier("VDI").bytes_le,
        uuidModify=blocks.identifier("VDI, its content").bytes_le,
    )
    out.write(header + struct.pack(f"<{blocks.count}I", *places))
