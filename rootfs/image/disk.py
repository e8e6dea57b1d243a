"""Shared parts of the disk formats: packed records, and disks described as extents.

A `Disk` is a description, not a file: a size and the extents that have data. All other bytes are
zeros and take no memory or time. Files are read only when the disk is written, piece by piece.

    fat.volume() ─┐
    Disk.of_file ─┴─> gpt.disk() ──> qcow2.write()   (or Disk.write(): a sparse raw file)
"""

from __future__ import annotations

import errno
import io
import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

from plan.errors import BuildError

SECTOR = 512  # bytes; the logical block size of every disk made here
MIB = 1 << 20


def round_up(value: int, unit: int) -> int:
    """`value` rounded up to a multiple of `unit`."""
    return -(-value // unit) * unit


class Record:
    """A packed structure of a published format: its fields in order, with the format's names.

    `Record("<", Signature="8s", Revision="I")`: byte order, then a `struct` code per field.
    """

    def __init__(self, byte_order: str, **fields: str) -> None:
        self._struct = struct.Struct(byte_order + "".join(fields.values()))
        self._sizes = {name: struct.calcsize("<" + code) for name, code in fields.items()}
        self._empty: dict[str, int | bytes] = {
            name: b"" if code.endswith("s") else 0 for name, code in fields.items()
        }
        self.size = self._struct.size

    def pack(self, **values: int | bytes) -> bytes:
        """The bytes of the record; a missing field is zero.

        Raises TypeError for an unknown field, ValueError for bytes that are too long (`struct`
        would truncate them silently).
        """
        if unknown := values.keys() - self._empty.keys():
            raise TypeError(f"no such field: {', '.join(sorted(unknown))}")
        for name, value in values.items():
            if isinstance(value, bytes) and len(value) > self._sizes[name]:
                raise ValueError(f"{name} takes {self._sizes[name]} bytes, not {len(value)}")
        return self._struct.pack(*(self._empty | values).values())

    def unpack(self, data: bytes) -> dict[str, Any]:
        """The fields of the record at the start of `data`. Raises struct.error if too short."""
        return dict(zip(self._empty, self._struct.unpack_from(data), strict=True))


@dataclass(frozen=True)
class Extent:
    """`length` bytes at offset `start` of a disk, read from offset `skip` of `origin`."""

    start: int
    length: int
    origin: bytes | Path
    skip: int = 0

    @property
    def end(self) -> int:
        return self.start + self.length

    def open(self) -> IO[bytes]:
        """The origin, positioned at the extent's first byte."""
        stream = io.BytesIO(self.origin) if isinstance(self.origin, bytes) else _open(self.origin)
        stream.seek(self.skip)
        return stream


@dataclass(frozen=True)
class Disk:
    """`size` bytes: the data of the `extents` (sorted, not overlapping), zeros elsewhere."""

    size: int
    extents: tuple[Extent, ...]

    def __post_init__(self) -> None:
        if any(before.end > after.start for before, after in pairwise(self.extents)):
            raise ValueError("extents overlap or are not sorted")
        if self.extents and (self.extents[0].start < 0 or self.extents[-1].end > self.size):
            raise ValueError("extents are outside of their disk")

    @classmethod
    def of_file(cls, path: Path) -> Disk:
        """The contents of a raw file; its holes become holes of the disk.

        The size is rounded up to whole sectors. Raises BuildError if the file cannot be read.
        """
        with _open(path) as file:
            size = os.fstat(file.fileno()).st_size
            parts = tuple(Extent(at, end - at, path, at) for at, end in _data_ranges(file, size))
        return cls(round_up(size, SECTOR), parts)

    def moved(self, distance: int) -> tuple[Extent, ...]:
        """The extents moved by `distance` bytes, for a larger disk that contains this one."""
        return tuple(
            Extent(part.start + distance, part.length, part.origin, part.skip)
            for part in self.extents
        )

    def pieces(self, size: int) -> Iterator[tuple[int, bytes]]:
        """(offset, bytes) of each piece that has data, in order; all other pieces are zeros.

        Pieces are `size` bytes long and aligned to `size`; the last may be shorter.
        Raises BuildError if a file cannot be read or has become shorter.
        """
        current, piece = -1, bytearray()
        for extent in self.extents:
            at = extent.start
            with extent.open() as origin:
                while at < extent.end:
                    base = at - at % size
                    if base != current:
                        if piece:
                            yield current, bytes(piece)
                        current, piece = base, bytearray(min(size, self.size - base))
                    take = min(extent.end, base + size) - at
                    piece[at - base : at - base + take] = _read(origin, take, extent.origin)
                    at += take
        if piece:
            yield current, bytes(piece)

    def data(self, size: int) -> Iterator[tuple[int, bytes]]:
        """As `pieces`, without those that are all zeros."""
        zeros = bytes(size)
        for offset, piece in self.pieces(size):
            if piece != zeros[: len(piece)]:
                yield offset, piece

    def write(self, out: IO[bytes]) -> None:
        """Write the disk to the empty file `out` as a raw image; zeros become holes."""
        for offset, piece in self.data(1 << 16):
            out.seek(offset)
            out.write(piece)
        out.truncate(self.size)


def extents_of(contents: Iterable[tuple[int, bytes | Path, int]]) -> tuple[Extent, ...]:
    """Sorted extents from (start, origin, length) triples; empty ones are dropped."""
    parts = (Extent(start, length, origin) for start, origin, length in contents if length)
    return tuple(sorted(parts, key=lambda part: part.start))


def file_size(path: Path) -> int:
    """The size of the file `path` in bytes. Raises BuildError if it cannot be read."""
    with _open(path) as file:
        return os.fstat(file.fileno()).st_size


def _open(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise BuildError(f"cannot be read: {error.strerror}", where=os.fspath(path)) from error


def _read(origin: IO[bytes], length: int, name: bytes | Path) -> bytes:
    data = origin.read(length)
    if len(data) != length:
        where = os.fspath(name) if isinstance(name, Path) else None
        raise BuildError("became shorter while it was read", where=where, hint="run it again")
    return data


def _data_ranges(file: IO[bytes], size: int) -> Iterator[tuple[int, int]]:
    """(start, end) of the ranges of a file that are not holes: lseek(2), SEEK_DATA."""
    at = 0
    while at < size:
        try:
            at = os.lseek(file.fileno(), at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # the rest of the file is a hole
                return
            raise
        end = os.lseek(file.fileno(), at, os.SEEK_HOLE)
        yield at, end
        at = end
