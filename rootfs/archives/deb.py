"""Unpacks Debian packages without dpkg and without running their scripts.

A `.deb` (deb(5)) is an ar(5) archive of `debian-binary`, `control.tar.*` and `data.tar.*`, in this
order. `rootfs.archives.unpack` unpacks the last, with all its checks. The control part, with the
maintainer's scripts, is never read.

    .deb --> ar members --> data.tar.* --> unpack_stream (/lib goes to /usr/lib)
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from plan.errors import BuildError
from rootfs.archives.unpack import unpack_stream

_MAGIC = b"!<arch>\n"
_HEADER = 60
_HINT = "delete the file and fetch it again"

# Debian's root is usr-merged: these top directories are links into /usr. `rootfs.archives.unpack`
# follows no link, so a member in one of them is written to /usr instead.
USR_MERGED = {
    directory: b"usr/" + directory
    for directory in (b"bin", b"sbin", b"lib", b"lib32", b"lib64", b"libx32")
}


class Window:
    """A part of an open file, from its current position, `size` bytes long; read like a file."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = size

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end of the part."""
        data = self._file.read(min(size, self._left))
        self._left -= len(data)
        return data


def unpack_deb(deb: Path, into: Path, *, exclude: Sequence[str] = ()) -> int:
    """Unpack the files of a .deb into a usr-merged tree. Returns the number of members.

    exclude: globs of members to skip, as in `rootfs.archives.unpack.unpack`.
    Raises BuildError if it is no .deb, is damaged, or has a member that is refused.
    """
    name = os.fspath(deb)
    try:
        with deb.open("rb") as file:
            data = _data_member(file, name)
            return unpack_stream(data, into, name=name, exclude=exclude, moved=USR_MERGED)
    except OSError as error:
        raise BuildError(f"cannot be read: {error.strerror}", where=name) from error


def _data_member(file: BinaryIO, name: str) -> Window:
    """The `data.tar.*` of an open .deb (ar(5): 60-byte headers, members at even offsets)."""
    if file.read(len(_MAGIC)) != _MAGIC:
        raise BuildError("is not a Debian package: not an ar archive", where=name, hint=_HINT)
    while header := file.read(_HEADER):
        size = header[48:58].strip()
        if len(header) != _HEADER or header[58:] != b"`\n" or not size.isdigit():
            raise BuildError("is cut off or corrupt", where=name, hint=_HINT)
        member = header[:16].rstrip(b" ").rstrip(b"/")
        if member.startswith(b"data.tar"):
            return Window(file, int(size))
        file.seek(int(size) + int(size) % 2, os.SEEK_CUR)
    raise BuildError("has no data.tar: cut off or not a Debian package", where=name, hint=_HINT)
