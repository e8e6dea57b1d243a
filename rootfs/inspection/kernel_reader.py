"""Finds the built-in initramfs of a kernel, without running the kernel.

    bzImage, zboot ──payload──▶ zstd ──▶ vmlinux ──search──▶ newc cpio ──▶ path: content

bzImage: the kernel's Documentation/arch/x86/boot.rst. zboot, the UEFI program around the kernels of
other architectures: drivers/firmware/efi/libstub/zboot-header.S. Any other file is searched as it
is.
"""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator

from plan.errors import BuildError
from rootfs.archives.cpio import FIELDS, MAGIC, TRAILER
from rootfs.inspection.window import damaged

SETUP_SECTORS = 0x1F1
HEADER_MAGIC, MAGIC_AT = b"HdrS", 0x202
PAYLOAD = struct.Struct("<II")  # payload_offset (from the protected-mode code), payload_length
PAYLOAD_AT = 0x248
ZBOOT_MAGIC, ZBOOT_MAGIC_AT = b"zimg", 4
ZBOOT = struct.Struct("<II")  # payload_offset (from the start of the file), payload_length
ZBOOT_AT = 8
SIZE = 4  # bytes after the compressed data, in the payload of a bzImage: only the kernel needs them
HEAD = len(MAGIC) + 8 * len(FIELDS)
LARGEST = 256 << 20  # bytes of a decompressed kernel
# Magic and thirteen numbers: the magic alone occurs in the kernel's own code too.
_MEMBER = re.compile(rb"%s[0-9a-f]{%d}" % (MAGIC.encode(), HEAD - len(MAGIC)))


def initramfs(kernel: bytes, name: str) -> dict[str, bytes]:
    """The regular files of the initramfs: path → content.

    Raises BuildError, with `name`, if the kernel has no readable initramfs, or zstd is missing.
    """
    data = _vmlinux(kernel, name)
    first = _MEMBER.search(data)
    if first is None:
        raise damaged(name, "has no initramfs")
    return {path: content for path, content in _members(data, first.start(), name) if content}


def _vmlinux(kernel: bytes, name: str) -> bytes:
    try:
        if kernel[MAGIC_AT : MAGIC_AT + 4] == HEADER_MAGIC:
            return _unpacked(_of_bzimage(kernel), name)
        if kernel[ZBOOT_MAGIC_AT : ZBOOT_MAGIC_AT + 4] == ZBOOT_MAGIC:
            return _unpacked(_of_zboot(kernel), name)
    except struct.error as error:
        raise damaged(name, f"cannot be unpacked: {error}") from error
    return kernel


def _unpacked(payload: bytes, name: str) -> bytes:
    """What zstd unpacks: at most LARGEST bytes. Python has no zstd before 3.14."""
    program = shutil.which("zstd")
    if program is None:
        raise BuildError(
            "zstd is missing, which unpacks a kernel", hint="install it (Debian: zstd)"
        )
    with tempfile.TemporaryFile() as packed:
        packed.write(payload)
        packed.seek(0)
        with subprocess.Popen(
            [program, "-dcq"], stdin=packed, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdout and process.stderr
            data = process.stdout.read(LARGEST)
            process.stdout.close()
            said = process.stderr.read().decode(errors="replace").strip()
    if len(data) == LARGEST:
        raise damaged(name, f"unpacks to more than {LARGEST >> 20} MiB")
    if process.returncode:
        raise damaged(name, f"cannot be unpacked: {said}")
    return data


def _of_bzimage(kernel: bytes) -> bytes:
    offset, length = PAYLOAD.unpack_from(kernel, PAYLOAD_AT)
    start = ((kernel[SETUP_SECTORS] or 4) + 1) * 512 + offset
    return kernel[start : start + length - SIZE]


def _of_zboot(kernel: bytes) -> bytes:
    start, length = ZBOOT.unpack_from(kernel, ZBOOT_AT)
    return kernel[start : start + length]


def _members(data: bytes, at: int, name: str) -> Iterator[tuple[str, bytes]]:
    while True:
        head = data[at : at + HEAD]
        if not _MEMBER.fullmatch(head):
            raise _cut_off(name)
        numbers = head[len(MAGIC) :]
        fields = {field: int(numbers[8 * n : 8 * n + 8], 16) for n, field in enumerate(FIELDS)}
        end = at + HEAD + fields["namesize"]
        path = data[at + HEAD : end - 1].decode("utf-8", "surrogateescape")
        start = end + (-(HEAD + fields["namesize"]) % 4)
        content = data[start : start + fields["filesize"]]
        if len(content) != fields["filesize"]:
            raise _cut_off(name)
        if path == TRAILER:
            return
        yield path, content
        at = start + fields["filesize"] + -fields["filesize"] % 4


def _cut_off(name: str) -> BuildError:
    return damaged(name, "its initramfs is cut off or damaged")
