"""Reads tar archives from front to back: decompression, then the members with their data.

A damaged archive is an error, never an incomplete tree: the compressor's end mark, each header's
checksum and the archive's end mark are required. `limit` bounds memory and time, also for an
archive made to expand without end. Names are not checked here but in `rootfs.archives.unpack`.

    rootfs.archives.decompress  (in a thread: it releases Python's lock) --> Stream --> members()

Formats: ustar and pax (POSIX.1-2018, "pax Interchange Format") with GNU's long names and
base-256 numbers. Sparse files and multi-volume archives are errors.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import NamedTuple

from rootfs.archives.decompress import Damaged, Readable, chunks

BLOCK = 512
_ZEROS = bytes(BLOCK)
_QUEUED_CHUNKS = 8
_LARGEST_EXTENSION = 1 << 20  # bytes of a long name or pax header; normal ones are far smaller
_PAX_READ = (b"path", b"linkpath", b"size", b"mtime")


class Member(NamedTuple):
    """One entry. kind is ustar's type flag (`b"0"` for any regular file); mtime in seconds."""

    name: bytes
    kind: bytes
    mode: int
    size: int
    mtime: int
    link: bytes


class Stream:
    """Decompressed bytes, produced by a thread. As a context manager it ends the thread.

    All methods raise Damaged when the bytes end too early or cannot be decompressed.
    """

    def __init__(self, raw: Readable, limit: int) -> None:
        """limit: the most bytes that `raw` may decompress to; more raises Damaged."""
        self._room = limit
        self._chunks: queue.Queue[bytes | Exception] = queue.Queue(_QUEUED_CHUNKS)
        self._stop = False
        self._view = memoryview(b"")
        self._at = 0
        self._thread = threading.Thread(target=self._produce, args=(raw,), daemon=True)

    def __enter__(self) -> Stream:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop = True
        while self._thread.is_alive():  # it may wait for space in the queue
            with contextlib.suppress(queue.Empty):
                self._chunks.get(timeout=0.01)

    def _produce(self, raw: Readable) -> None:
        try:
            for chunk in chunks(raw):
                if self._stop:
                    return
                self._chunks.put(chunk)
            self._chunks.put(b"")
        except Exception as error:  # the reader raises it
            self._chunks.put(error)

    def _next_chunk(self) -> bool:
        chunk = self._chunks.get()
        if isinstance(chunk, Exception):
            self._chunks.put(chunk)  # the next read gets it again
            raise chunk
        if not chunk:
            self._chunks.put(chunk)
            return False
        self._room -= len(chunk)
        if self._room < 0:
            raise Damaged("it unpacks to more than the limit")
        self._view = memoryview(chunk)
        self._at = 0
        return True

    def left(self) -> int:
        """How many more bytes the limit allows."""
        return self._room + len(self._view) - self._at

    def pieces(self, size: int) -> Iterator[memoryview]:
        """The next `size` bytes, in pieces."""
        while size > 0:
            piece = self._view[self._at : self._at + size]
            if piece:
                self._at += len(piece)
                size -= len(piece)
                yield piece
            elif not self._next_chunk():
                raise Damaged("it ends in the middle")

    def take(self, size: int) -> bytes:
        """The next `size` bytes as one object."""
        end = self._at + size
        if end <= len(self._view):
            piece = self._view[self._at : end]
            self._at = end
            return bytes(piece)
        return b"".join(self.pieces(size))

    def skip(self, size: int) -> None:
        """Skip `size` bytes."""
        if self._at + size <= len(self._view):
            self._at += size
            return
        for _ in self.pieces(size):
            pass

    def end(self) -> None:
        """Read to the end after an empty block, so that the compressor's last checksum is checked.

        Only a second empty block or the end may follow; other data shows that a part was lost.
        """
        following = bytes(self._view[self._at : self._at + BLOCK])
        while len(following) < BLOCK and self._next_chunk():
            following += bytes(self._view[: BLOCK - len(following)])
        if following.strip(b"\0"):
            raise Damaged("there is data after its end")
        while self._next_chunk():
            pass


def members(stream: Stream) -> Iterator[Member]:
    """The members of a tar archive in order. Raises Damaged.

    After each member the caller must read or skip its `size` bytes and the padding to a full block.
    """
    everywhere: dict[bytes, bytes] = {}
    once: dict[bytes, bytes] = {}
    while True:
        header = stream.take(BLOCK)
        if header == _ZEROS:
            stream.end()
            return
        member = _parse(header)
        if member.kind in b"xgLK":
            if member.size > _LARGEST_EXTENSION:
                raise Damaged(f"an extended header of {member.size} bytes")
            body = stream.take(member.size)
            stream.skip(-member.size % BLOCK)
            if member.kind == b"g":
                everywhere.update(_pax(body))
            elif member.kind == b"x":
                once.update(_pax(body))
            else:
                key = b"path" if member.kind == b"L" else b"linkpath"
                once[key] = body.split(b"\0", 1)[0]
            continue
        if everywhere or once:
            member = _extended(member, {**everywhere, **once})
            once = {}
        if not member.name:
            raise Damaged("a member has no name")
        yield member


def _parse(header: bytes) -> Member:
    """One ustar header block as a member (POSIX.1-2018, pax, "ustar Interchange Format")."""
    stated = _number(header[148:156])
    if stated != sum(header) - sum(header[148:156]) + 8 * ord(" "):
        raise Damaged("a header's checksum is wrong: cut off, corrupt, or no tar archive")
    name = header[:100].split(b"\0", 1)[0]
    if header[257:263] == b"ustar\0" and header[345]:
        name = header[345:500].split(b"\0", 1)[0] + b"/" + name
    kind = header[156:157]
    if kind in b"\x007":  # the type before POSIX, and "contiguous": read as a regular file
        kind = b"5" if name.endswith(b"/") else b"0"
    size = _size(kind, _number(header[124:136]))
    link = header[157:257].split(b"\0", 1)[0] if kind in b"12" else b""
    return Member(name, kind, _number(header[100:108]), size, _number(header[136:148]), link)


def _number(field: bytes) -> int:
    """A numeric field: octal digits, or base-256 where the first bit is set (GNU)."""
    if field[0] & 0x80:
        bits = 8 * len(field) - 1
        value = int.from_bytes(field, "big") & ~(1 << bits)
        return value if value < 1 << bits - 1 else value - (1 << bits)
    digits = field.split(b"\0", 1)[0].strip()
    try:
        return int(digits, 8) if digits else 0
    except ValueError:
        raise Damaged("a header has an invalid number: corrupt, or no tar archive") from None


def _size(kind: bytes, size: int) -> int:
    """How many bytes of data follow a header: none for links and directories."""
    if size < 0:
        raise Damaged("a member's size is negative")
    return 0 if kind in b"123456" else size


def _pax(body: bytes) -> dict[bytes, bytes]:
    """The records in _PAX_READ of a pax header, each `b"<length> <key>=<value>\\n"`."""
    found = {}
    at = 0
    while at < len(body) and body[at]:
        space = body.find(b" ", at, at + 20)
        length = int(body[at:space]) if space > at and body[at:space].isdigit() else 0
        record = body[at : at + length]
        key, equals, value = record[space - at + 1 : -1].partition(b"=")
        if not equals or not record.endswith(b"\n") or len(record) != length:
            raise Damaged("a pax header is malformed")
        if key.startswith(b"GNU.sparse."):
            raise Damaged("it has a sparse file, which is not supported")
        if key in _PAX_READ:
            found[key] = value
        at += length
    return found


def _extended(member: Member, records: dict[bytes, bytes]) -> Member:
    """`member` with the values of its pax records or GNU long names."""
    try:
        size = _size(member.kind, int(records.get(b"size", member.size)))
        mtime = int(float(records.get(b"mtime", member.mtime)))
    except (ValueError, OverflowError):
        raise Damaged("a pax header has an invalid number") from None
    return member._replace(
        name=records.get(b"path", member.name),
        link=records.get(b"linkpath", member.link) if member.kind in b"12" else b"",
        size=size,
        mtime=mtime,
    )
