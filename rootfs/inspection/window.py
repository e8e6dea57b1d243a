"""Bounds-checked access to the bytes of a disk.

    a QCOW2 file ──Qcow2──▶ disk ──Window──▶ partition ──▶ FAT, ext4

A reader of a format reads from a `View`. A read outside of the view raises BuildError. The readers
trust no number in the data.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import IO, Protocol

from plan.errors import BuildError


class View(Protocol):
    """`size` bytes that can be read at any offset. name: for messages."""

    @property
    def name(self) -> str: ...

    @property
    def size(self) -> int: ...

    def read(self, offset: int, length: int) -> bytes:
        """The `length` bytes at `offset`. Raises BuildError if they are not all inside."""


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
    """Raise BuildError unless these bytes are inside `view`."""
    if offset < 0 or length < 0 or offset + length > view.size:
        raise damaged(view.name, f"refers to byte {offset + length} of {view.size}")


def damaged(where: str, why: str) -> BuildError:
    """The error of a reader for damaged data."""
    return BuildError(why, where=where, hint="the file was changed: make or copy it again")
