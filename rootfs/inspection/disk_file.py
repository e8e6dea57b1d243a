"""Opens the disk in an image file of any format that `assemble.WRITERS` has.

    file ──first or last bytes──▶ its format ──▶ reader ──▶ disk

A raw file is recognized by the signature of its protective MBR.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from plan.errors import BuildError
from rootfs.image import vdi, vhd, vmdk
from rootfs.image.disk import SECTOR
from rootfs.inspection.block_readers import read_vdi, read_vhd, read_vmdk
from rootfs.inspection.qcow2_reader import Qcow2
from rootfs.inspection.window import View

Reader = Callable[[View], tuple[View, str]]


def reader_of(file: View) -> tuple[str, Reader]:
    """The name of the format of `file`, and its reader: it returns the disk and what it checked.

    A file of no known format is taken for QCOW2, whose reader names what is wrong.
    """
    head = _part(file, 0)
    if head[:4] == b"QFI\xfb":
        return "QCOW2", _read_qcow2
    if head[:4] == struct.pack("<I", vmdk.MAGIC):
        return "VMDK", read_vmdk
    if head.startswith(vdi.TITLE):
        return "VDI", read_vdi
    if _part(file, file.size - SECTOR).startswith(vhd.COOKIE):
        return "VHD", read_vhd
    return ("raw disk", _read_raw) if head[510:] == b"\x55\xaa" else ("QCOW2", _read_qcow2)


def _part(file: View, at: int) -> bytes:
    """The sector at offset `at`, or nothing if the file is too short."""
    try:
        return file.read(at, SECTOR)
    except BuildError:
        return b""


def _read_qcow2(file: View) -> tuple[View, str]:
    disk = Qcow2(file)
    clusters = disk.check()
    return disk, f"{clusters} clusters of {disk.cluster >> 10} KiB, all reference counts right"


def _read_raw(file: View) -> tuple[View, str]:
    return file, f"{file.size} bytes"
