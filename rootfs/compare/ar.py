"""Reads the members of an ar archive (a static library), with GNU or BSD long names.

    "!<arch>\\n" ─▶ [header of 60 characters, content, padding to an even offset]...

The format has no standard; FreeBSD's ar(5) and LLVM's Archive.cpp describe it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rootfs.compare.bytes import Bytes

MAGIC = b"!<arch>\n"
HEADER = 60
# The start and end of the fields in a header.
FIELDS = {"time": (16, 28), "uid": (28, 34), "gid": (34, 40), "mode": (40, 48)}
SIZE = slice(48, 58)
# The symbol table and the table of long names: they depend only on the other members.
TABLES = ("/", "//", "/SYM64/", "__.SYMDEF")


@dataclass(frozen=True)
class Member:
    """A member: its name, and the offsets of its header and its content in the file."""

    name: str
    header: int
    offset: int
    size: int


def members(data: Bytes) -> list[Member]:
    """The members of the archive `data`, in order; none if it is no archive or is damaged.

    The symbol table and the table of names are members too.
    """
    if data[: len(MAGIC)] != MAGIC:
        return []
    found: list[Member] = []
    names, at = b"", len(MAGIC)
    while at + HEADER <= len(data):
        header = data[at : at + HEADER]
        if not header[SIZE].strip().isdigit():  # int() takes "-60" too
            return []
        size = int(header[SIZE])
        start = at + HEADER
        raw = header[:16].rstrip()
        if raw == b"//":
            names = data[start : start + size]
        name, skipped = _name(raw, names, data[start : start + size])
        found.append(Member(name, at, start + skipped, size - skipped))
        at = start + size + size % 2
    return found


def _name(raw: bytes, names: bytes, content: bytes) -> tuple[str, int]:
    """The full name, and how many bytes of the content it takes."""
    if match := re.fullmatch(rb"/(\d+)", raw):
        return names[int(match[1]) :].split(b"/\n")[0].decode(errors="replace"), 0
    if match := re.fullmatch(rb"#1/(\d+)", raw):
        return content[: int(match[1])].rstrip(b"\0").decode(errors="replace"), int(match[1])
    name = raw.decode(errors="replace")
    return name if name in TABLES else name.removesuffix("/"), 0
