"""Reads VDI, VMDK and VHD files, strictly: only what our writers write.

    VDI, VMDK: header ─▶ map of blocks ─▶ bytes of the disk       VHD: disk | footer

Stored blocks must be in order and without gaps, up to the end of the file. So a file has no room
for anything that is not on its disk, except in the descriptor of VMDK, which is compared as a text.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rootfs.image import vdi, vhd, vmdk
from rootfs.image.disk import SECTOR, Record
from rootfs.inspection.window import View, Window, check_inside, damaged

LARGEST = 1 << 44  # bytes of a disk: a limit for the size of the maps
_CID = re.compile(rb"^CID=([0-9a-f]{8})$", re.MULTILINE)


@dataclass(frozen=True)
class Mapped:
    """A disk of blocks of the same size in `file`: the offset of each; 0 if it is all zeros."""

    file: View
    size: int
    block: int
    places: Sequence[int]

    @property
    def name(self) -> str:
        return self.file.name

    def read(self, offset: int, length: int) -> bytes:
        """As `View.read`."""
        check_inside(self, offset, length)
        parts = []
        while length:
            number, skip = divmod(offset, self.block)
            take = min(length, self.block - skip)
            place = self.places[number]
            parts.append(self.file.read(place + skip, take) if place else bytes(take))
            offset, length = offset + take, length - take
        return b"".join(parts)

    def check(self, first: int) -> str:
        """Check that the stored blocks follow each other from `first` to the end of the file."""
        stored = [place for place in self.places if place]
        end = first + len(stored) * self.block
        if stored != [*range(first, end, self.block)] or end != self.file.size:
            raise damaged(self.name, "its blocks are not in order, or the file has another end")
        return f"{len(stored)} blocks of {self.block >> 10} KiB, in order"


def read_vdi(file: View) -> tuple[View, str]:
    """The disk in a VDI file, and what was checked. Raises BuildError."""
    fields = _fields(file, vdi.HEADER, 0, vdi.FIXED)
    size, count = fields["cbDisk"], fields["cBlocks"]
    _require_size(file, size, vdi.BLOCK)
    if count != size // vdi.BLOCK:
        raise damaged(file.name, "its map does not have the size of the disk")
    data = vdi.first_block(count)
    known = (*vdi.FIXED, "cbDisk", "cBlocks", "cBlocksAllocated", "uuidCreate", "uuidModify")
    _only(file, vdi.HEADER, fields, {**{name: fields[name] for name in known}, "offData": data})
    entries = struct.unpack(f"<{count}I", file.read(SECTOR, 4 * count))
    _require_zeros(file, SECTOR + 4 * count, data)
    places = [0 if each == vdi.FREE else data + each * vdi.BLOCK for each in entries]
    if sum(map(bool, places)) != fields["cBlocksAllocated"]:
        raise damaged(file.name, "it counts its blocks wrongly")
    disk = Mapped(file, size, vdi.BLOCK, places)
    return disk, disk.check(data)


def read_vmdk(file: View) -> tuple[View, str]:
    """The disk in a VMDK file, and what was checked. Raises BuildError."""
    fields = _fields(file, vmdk.HEADER, 0, {"magicNumber": vmdk.MAGIC})
    size = fields["capacity"] * SECTOR
    _require_size(file, size, vmdk.GRAIN)
    _only(file, vmdk.HEADER, fields, vmdk.layout(size))
    text = file.read(SECTOR, vmdk.DESCRIPTOR_SECTORS * SECTOR)
    cid = _CID.search(text)
    if cid is None or text != vmdk.descriptor(size, int(cid[1], 16)):
        raise damaged(file.name, "its descriptor has an unsupported form")
    data = fields["overHead"] * SECTOR
    redundant, _ = _tables(file, size, fields["rgdOffset"])
    tables, end = _tables(file, size, fields["gdOffset"])
    if tables != redundant:
        raise damaged(file.name, "the two copies of its tables differ")
    count = size // vmdk.GRAIN
    if any(tables[count:]):
        raise damaged(file.name, "its map does not have the size of the disk")
    _require_zeros(file, end, data)
    disk = Mapped(file, size, vmdk.GRAIN, [each * SECTOR for each in tables[:count]])
    return disk, disk.check(data)


def _tables(file: View, size: int, at: int) -> tuple[tuple[int, ...], int]:
    """The entries of the tables whose directory is at sector `at`, and the offset of their end."""
    tables = -(-size // (vmdk.GRAIN * vmdk.ENTRIES))
    expected = vmdk.directory(at, tables)
    if file.read(at * SECTOR, len(expected)) != expected:
        raise damaged(file.name, "its directory of tables has an unsupported form")
    first, length = at * SECTOR + len(expected), tables * vmdk.TABLE_SECTORS * SECTOR
    entries = struct.unpack(f"<{tables * vmdk.ENTRIES}I", file.read(first, length))
    return entries, first + length


def read_vhd(file: View) -> tuple[View, str]:
    """The disk in a fixed VHD file, and what was checked. Raises BuildError."""
    size = file.size - vhd.FOOTER.size
    fields = _fields(file, vhd.FOOTER, size, vhd.FIXED)
    told = {**vhd.FIXED, "OriginalSize": size, "CurrentSize": size, "UniqueId": fields["UniqueId"]}
    told["Checksum"] = vhd.checksum(vhd.FOOTER.pack(**fields | {"Checksum": 0}))
    _only(file, vhd.FOOTER, fields, told)
    return Window(file, 0, size, file.name), "its footer is valid"


def _fields(
    file: View, record: Record, at: int, fixed: Mapping[str, int | bytes]
) -> dict[str, Any]:
    """The record at offset `at`, in which these fields must have these values."""
    found = record.unpack(file.read(at, record.size))
    differing = [name for name in fixed if _plain(found[name]) != _plain(fixed[name])]
    if differing:
        raise damaged(file.name, f"is not supported: {', '.join(differing)}")
    return found


def _only(file: View, record: Record, found: Mapping[str, Any], told: Mapping[str, Any]) -> None:
    """Raise BuildError unless the record has the values `told`, and zeros in all other fields."""
    if record.pack(**found) != record.pack(**told):
        differing = [name for name in found if _plain(found[name]) != _plain(told.get(name, 0))]
        raise damaged(file.name, f"is not supported: {', '.join(differing)}")


def _plain(value: int | bytes) -> int | bytes:
    """A field's value without padding; zeros of any kind are 0."""
    return value if isinstance(value, int) else value.rstrip(b"\0") or 0


def _require_size(file: View, size: int, block: int) -> None:
    if not 0 < size <= LARGEST or size % block:
        raise damaged(file.name, f"a disk of {size} bytes is not supported")


def _require_zeros(file: View, start: int, end: int) -> None:
    if any(file.read(start, end - start)):
        raise damaged(file.name, "has data between its map and its blocks")
