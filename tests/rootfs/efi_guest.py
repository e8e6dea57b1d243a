"""Minimal guests for the firmware: EFI programs that print a text on the serial port and power off,
echo their input, or hang.

They replace the real image in tests, and boot as fast as the firmware. Written from the PE format
and the UEFI specification. The serial port is the PC's 16550 at 0x3f8; the power-off uses the ACPI
register of QEMU's q35 machine.
"""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

_SAY = (
    b"\xfa"  # cli: or the firmware's own serial driver reads the keys
    b"\x48\x8d\x35%s"  # lea rsi, [rip + to the text]
    b"\xac"  # next: lodsb
    b"\x84\xc0\x74\x14"  # test al, al; jz done
    b"\x88\xc4"  # mov ah, al
    b"\x66\xba\xfd\x03"  # mov dx, 0x3fd: the line's status
    b"\xec\xa8\x20\x74\xfb"  # wait: in al, dx; test al, 0x20; jz wait
    b"\x88\xe0"  # mov al, ah
    b"\x66\xba\xf8\x03\xee"  # mov dx, 0x3f8; out dx, al
    b"\xeb\xe7"  # jmp next; done:
)
_THEN = {
    "power off": (
        b"\x66\xba\x04\x06"  # mov dx, 0x604: PM1a_CNT
        b"\x66\xb8\x00\x20\x66\xef"  # mov ax, 0x2000: sleep; out dx, ax
        b"\xeb\xfe"  # jmp here
    ),
    "echo": (
        b"\x66\xba\xfd\x03\xec\xa8\x01\x74\xf7"  # wait for bit 0 of 0x3fd: a byte has come
        b"\x66\xba\xf8\x03\xec\xee"  # mov dx, 0x3f8; in al, dx; out dx, al
        b"\xeb\xef"  # jmp to the start
    ),
    "hang": b"\xeb\xfe",  # jmp here
}


def program(text: bytes, then: str) -> bytes:
    """A PE32+ file: prints `text`, and then does one of "power off", "echo", "hang"."""
    tail = _THEN[then]
    length = len(_SAY) + 2  # %s is two bytes and becomes four
    code = _SAY % struct.pack("<i", length - 8 + len(tail)) + tail + text + b"\0"
    code += bytes(-len(code) % 0x200)
    optional = struct.pack("<HBBIIIII", 0x20B, 0, 0, len(code), 0, 0, 0x1000, 0x1000)
    optional += struct.pack("<QII", 0, 0x1000, 0x200)  # image base, alignments
    optional += struct.pack("<6HI", 0, 0, 0, 0, 0, 0, 0)
    optional += struct.pack("<IIIHH", 0x1000 + (len(code) + 0xFFF & ~0xFFF), 0x200, 0, 10, 0)
    optional += struct.pack("<QQQQII", 0, 0, 0, 0, 0, 16) + bytes(16 * 8)  # no data directories
    header = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64) + b"PE\0\0"
    header += struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, len(optional), 0x22) + optional
    section = struct.pack("<8sIIII12xI", b".text", len(code), 0x1000, len(code), 0x200, 0x60000020)
    return (header + section).ljust(0x200, b"\0") + code


def disk(path: Path, text: bytes, then: str) -> Path:
    """A raw FAT image at `path` (of 1.44 MB) whose boot program is program(text, then)."""
    efi = path.with_suffix(".efi")
    efi.write_bytes(program(text, then))
    path.write_bytes(bytes(1440 << 10))
    for command in (
        ["mformat", "-i", f"{path}", "-f", "1440", "::"],
        ["mmd", "-i", f"{path}", "::/EFI", "::/EFI/BOOT"],
        ["mcopy", "-i", f"{path}", f"{efi}", "::/EFI/BOOT/BOOTX64.EFI"],
    ):
        subprocess.run(command, check=True)
    efi.unlink()
    return path
