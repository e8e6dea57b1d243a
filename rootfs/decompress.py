"""Takes the compression off a file: what it holds as plain bytes, some 1 MiB at a time.

    magic bytes --> plain | gzip | bzip2 | xz | zstd (where the interpreter has it) --> chunks()

It guarantees that a stream that is cut off or corrupt is an error, by the compressor's own check
sums and end mark, and that no more memory is taken than honest archives need.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

_READ = 1 << 18
_CHUNK = 1 << 20
_LARGEST_DICTIONARY = 1 << 29  # bytes; `xz -9` needs 65 MiB, and a header may demand 4 GiB
_FETCH_AGAIN = "delete the file and fetch it again; if it stays, its hash is of a bad file"


class Damaged(Exception):
    """The archive cannot be read on: cut off, corrupt, or of a kind that we do not read."""

    def __init__(self, why: str, *, hint: str = _FETCH_AGAIN) -> None:
        super().__init__(why)
        self.hint = hint


class Readable(Protocol):
    """What an archive is read from: a binary file, or a window of one."""

    def read(self, size: int, /) -> bytes: ...


def _zstd() -> Any:
    try:
        from compression.zstd import ZstdDecompressor  # type: ignore[import-not-found]
    except ImportError:
        raise Damaged(
            "it is packed with zstd, which Python reads from version 3.14 on",
            hint="use Python 3.14, or pack the archive with xz",
        ) from None
    return ZstdDecompressor()


_MAGIC: tuple[tuple[bytes, Callable[[], Any]], ...] = (
    (b"\xfd7zXZ\0", lambda: lzma.LZMADecompressor(memlimit=_LARGEST_DICTIONARY)),
    (b"\x1f\x8b", lambda: zlib.decompressobj(wbits=31)),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\x28\xb5\x2f\xfd", _zstd),
)


def chunks(raw: Readable) -> Iterator[bytes]:
    """The decompressed bytes of `raw`, some 1 MiB at a time. Raises Damaged."""
    data = raw.read(_READ)
    make = next((make for magic, make in _MAGIC if data.startswith(magic)), None)
    if make is None:
        while data:
            yield data
            data = raw.read(_CHUNK)
        return
    try:
        while data:  # more than once where compressed streams were concatenated
            unpacker = make()
            yield from _one_stream(unpacker, data, raw)
            data = (unpacker.unused_data or raw.read(_READ)).lstrip(b"\0")
    except (lzma.LZMAError, zlib.error, OSError, EOFError) as error:
        raise Damaged(str(error) or type(error).__name__) from error


def _one_stream(unpacker: Any, data: bytes, raw: Readable) -> Iterator[bytes]:
    """What one compressed stream holds; `data` is its beginning, already read from `raw`."""
    while True:
        piece = unpacker.decompress(data, _CHUNK)
        if piece:
            yield piece
        if unpacker.eof:
            return
        data = getattr(unpacker, "unconsumed_tail", b"")  # zlib's way of holding input back
        if not data and getattr(unpacker, "needs_input", True):
            data = raw.read(_READ)
            if not data and not piece:
                raise Damaged("it ends in the middle")
