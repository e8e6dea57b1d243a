"""The checksum of ext4 metadata: CRC-32C (Castagnoli) without the final inversion.

The kernel's Documentation/filesystems/ext4/checksums.rst lists the fields; the polynomial is that
of RFC 3720, appendix B.4, reflected.
"""

from __future__ import annotations

POLYNOMIAL = 0x82F63B78


def _entry(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (POLYNOMIAL if value & 1 else 0)
    return value


_TABLE = tuple(_entry(byte) for byte in range(256))


def crc32c(data: bytes, start: int = 0xFFFFFFFF) -> int:
    """The checksum of `data`, continued from the checksum `start`."""
    table, value = _TABLE, start
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ value >> 8
    return value
