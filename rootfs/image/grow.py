"""Grows the last partition of a GPT disk to the end of the disk; the image's init runs it.

    python3 -m rootfs.image.grow /dev/vda /

    a larger disk ─▶ backup table at its new end ─▶ primary table ─▶ new size to the kernel
                  ─▶ the mounted ext4 grows, also if only that is left to do

The tables are changed only if both checksums are right. At least one table is valid at any moment.
The kernel grows the file system (ext4(5), EXT4_IOC_RESIZE_FS). resize2fs uses the same call, but
first opens the disk for writing, which this kernel refuses while the disk is mounted.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import stat
import struct
import sys
import zlib
from pathlib import Path
from typing import IO, Any

from plan.errors import BuildError
from rootfs.image.disk import MIB, SECTOR
from rootfs.image.gpt import ENTRY, ENTRY_COUNT, ENTRY_SECTORS, HEADER, tables

BLKPG, BLKPG_RESIZE_PARTITION = 0x1269, 3  # linux/blkpg.h
EXT4_IOC_RESIZE_FS = 0x40086610  # _IOW('f', 16, __u64), fs/ext4/ext4.h


class _Partition(ctypes.Structure):  # struct blkpg_partition
    _fields_ = (
        ("start", ctypes.c_longlong),
        ("length", ctypes.c_longlong),
        ("pno", ctypes.c_int),
        ("devname", ctypes.c_char * 64),
        ("volname", ctypes.c_char * 64),
    )


class _Argument(ctypes.Structure):  # struct blkpg_ioctl_arg
    _fields_ = (
        ("op", ctypes.c_int),
        ("flags", ctypes.c_int),
        ("datalen", ctypes.c_int),
        ("data", ctypes.POINTER(_Partition)),
    )


def grow(path: str) -> int | None:
    """Grow the last partition of the disk (a block device or a raw file) at `path`.

    Returns its number, counted from 1, or None if it already ends at the end of the disk.
    Raises BuildError without a valid table of the form that `rootfs.image.gpt` writes.
    """
    with open(path, "r+b", buffering=0) as disk:  # noqa: PTH123
        size = disk.seek(0, os.SEEK_END)
        last = size // SECTOR - 1
        table = HEADER.unpack(_read(disk, 1, SECTOR).ljust(SECTOR, b"\0"))
        _require(_is_header(table), path)
        entries = _read(disk, table["PartitionEntryLBA"], ENTRY_COUNT * ENTRY.size)
        _require(zlib.crc32(entries) == table["PartitionEntryArrayCRC32"], path)
        if table["AlternateLBA"] >= last:
            return None
        number, entry = _last_entry(entries)
        end = (last - ENTRY_SECTORS) * SECTOR // MIB * MIB
        entry["EndingLBA"] = end // SECTOR - 1
        entries = _replaced(entries, number, entry)
        _write(disk, entries, last, table["DiskGUID"])
        if stat.S_ISBLK(os.fstat(disk.fileno()).st_mode):
            start = entry["StartingLBA"] * SECTOR
            _tell_kernel(disk, number, start, end - start)
    return number


def grow_file_system(mounted: Path) -> None:
    """Grow the ext4 mounted at `mounted` to the size of its partition. Raises OSError."""
    device = mounted.stat().st_dev
    sectors = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/size").read_text()
    blocks = int(sectors) * SECTOR // os.statvfs(mounted).f_bsize
    directory = os.open(mounted, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(directory, EXT4_IOC_RESIZE_FS, struct.pack("=Q", blocks))
    finally:
        os.close(directory)


def _is_header(table: dict[str, Any]) -> bool:
    crc = zlib.crc32(HEADER.pack(**(table | {"HeaderCRC32": 0})))
    return bool(table["Signature"] == b"EFI PART" and crc == table["HeaderCRC32"])


def _require(good: bool, path: str) -> None:
    if not good:
        raise BuildError("the disk has no valid GUID partition table", where=path)


def _last_entry(entries: bytes) -> tuple[int, dict[str, Any]]:
    found = [
        (number, entry)
        for number in range(1, ENTRY_COUNT + 1)
        if (entry := ENTRY.unpack(entries[(number - 1) * ENTRY.size :]))["StartingLBA"]
    ]
    return max(found, key=lambda each: int(each[1]["StartingLBA"]))


def _replaced(entries: bytes, number: int, entry: dict[str, Any]) -> bytes:
    at = (number - 1) * ENTRY.size
    return entries[:at] + ENTRY.pack(**entry) + entries[at + ENTRY.size :]


def _write(disk: IO[bytes], entries: bytes, last: int, disk_guid: bytes) -> None:
    front, back = tables(entries, last, disk_guid)
    for at, data in ((last - ENTRY_SECTORS, back), (0, front)):
        disk.seek(at * SECTOR)
        disk.write(data)
        os.fsync(disk.fileno())


def _tell_kernel(disk: IO[bytes], number: int, start: int, length: int) -> None:
    """Tell the kernel the new size (blkpg.h): it does not read a new table of a disk in use."""
    partition = _Partition(start, length, number)
    size = ctypes.sizeof(partition)
    fcntl.ioctl(disk, BLKPG, _Argument(BLKPG_RESIZE_PARTITION, 0, size, ctypes.pointer(partition)))


def _read(disk: IO[bytes], lba: int, size: int) -> bytes:
    disk.seek(lba * SECTOR)
    return disk.read(size)


if __name__ == "__main__":
    try:
        grow(sys.argv[1])
        grow_file_system(Path(sys.argv[2]))
    except (BuildError, OSError) as error:
        sys.exit(f"grow: {error}")
