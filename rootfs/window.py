"""What a disk is read through: any bytes of it, and never a byte outside of it.

    a QCOW2 file ──Qcow2──▶ disk ──Window──▶ partition ──▶ FAT, ext4

A reader of a format gets a `View`, asks for bytes, and is told with a BuildError when the format
leads it out of its disk. Nothing here or in the readers trusts a number that it reads.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import IO, Protocol

from plan.errors import BuildError


class View(Protocol):
    """`size` bytes that can be read at any place. name: what they are, for messages."""

    @property
    def name(self) -> str: ...

    @property
    def size(self) -> int: ...

    def read(self, offset: int, length: int) -> bytes:
        """The `length` bytes at `offset`. Raises BuildError where they are not all there."""


class FileView:
    """An open file as a view."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file, self.name = file, name
        self.size = os.fstat(file.fileno()).st_size

    def read(self, offset: int, length: int) -> bytes:
        """As `View.read`."""
        check_inside(self, offset, length)
        data = os.pread(self._file.fileno(), length, offset)
        if len(data) != length:
            raise damaged(self.name, f"ends before byte {offset + length}")
        return data


@dataclass(frozen=True)
class Window:
    """The `size` bytes at `start` of another view."""

    view: View
    start: int
    size: int
    name: str

    def read(self, offset: int, length: int) -> bytes:
        """As `View.read`."""
        check_inside(self, offset, length)
        return self.view.read(self.start + offset, length)


def check_inside(view: View, offset: int, length: int) -> None:
    """Raise BuildError unless these bytes lie in `view`."""
    if offset < 0 or length < 0 or offset + length > view.size:
        raise damaged(view.name, f"something in it leads to byte {offset + length} of {view.size}")


def damaged(where: str, why: str) -> BuildError:
    """What a reader raises."""
    return BuildError(why, where=where, hint="it is not what was written: make or copy it again")
