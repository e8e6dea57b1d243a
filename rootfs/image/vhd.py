"""Writes disks as fixed VHD files (Microsoft, Virtual Hard Disk Image Format Specification 1.0).

A fixed VHD is the raw disk and a footer. It is the form that Azure takes; the file is sparse. The
same disk gives the same bytes: the footer has an identifier of the content, and no time.

    disk | footer
"""

from __future__ import annotations

import struct
from typing import IO

from rootfs.image.blocks import Blocks
from rootfs.image.disk import MIB, Disk, Record

COOKIE = b"conectix"
FOOTER = Record(  # "Hard Disk Footer Format"
    ">",
    Cookie="8s",
    Features="I",
    FileFormatVersion="I",
    DataOffset="Q",
    TimeStamp="I",
    CreatorApplication="4s",
    CreatorVersion="I",
    CreatorHostOS="4s",
    OriginalSize="Q",
    CurrentSize="Q",
    DiskGeometry="4s",
    DiskType="I",
    Checksum="I",
    UniqueId="16s",
    SavedState="B",
    Reserved="427s",
)
# The largest geometry: then readers take the size from CurrentSize, and not from the geometry.
LARGEST_GEOMETRY = struct.pack(">HBB", 65535, 16, 255)
FIXED: dict[str, int | bytes] = {  # the fields that are the same in every file
    "Cookie": COOKIE,
    "Features": 2,  # a bit that is always set
    "FileFormatVersion": 0x00010000,
    "DataOffset": 0xFFFFFFFFFFFFFFFF,  # of a fixed disk
    "CreatorApplication": b"bq2",
    "CreatorHostOS": b"Wi2k",  # one of the two that are defined
    "DiskGeometry": LARGEST_GEOMETRY,
    "DiskType": 2,  # fixed
}


def checksum(footer: bytes) -> int:
    """The one's complement of the sum of all bytes; the checksum's own bytes must be zero."""
    return ~sum(footer) & 0xFFFFFFFF


def write(disk: Disk, out: IO[bytes]) -> None:
    """Write the disk to the empty, seekable file `out`. Raises BuildError as `Blocks` does.

    Azure takes only whole MiB, so the disk must have them.
    """
    blocks = Blocks(disk, MIB)
    for number, block in blocks:
        out.seek(number * MIB)
        out.write(block)
    fields = {**FIXED, "OriginalSize": disk.size, "CurrentSize": disk.size}
    fields["UniqueId"] = blocks.identifier("VHD").bytes
    out.seek(disk.size)
    out.write(FOOTER.pack(**fields, Checksum=checksum(FOOTER.pack(**fields))))
