"""Decompresses a file in chunks of about 1 MiB.

    magic bytes --> plain | gzip | bzip2 | xz | zstd (from Python 3.14 on) --> chunks()

A truncated or corrupt stream is an error: the format's own checksums and end mark show it. The
memory is limited to what normal archives need.
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
_FETCH_AGAIN = "delete the file and fetch it again; if the error stays, the locked file is bad"


class Damaged(Exception):
    """The archive cannot be read: truncated, corrupt, or of an unsupported kind."""

    def __init__(self, why: str, *, hint: str = _FETCH_AGAIN) -> None:
        super().__init__(why)
        self.hint = hint


class Readable(Protocol):
    """The source of an archive's bytes: a binary file, or a window of one."""

    def read(self, size: int, /) -> bytes: ...


_broken: set[type[Exception]] = {lzma.LZMAError, zlib.error, OSError, EOFError}


def _zstd() -> Any:
    try:
        from compression.zstd import (  # type: ignore[import-not-found]
            ZstdDecompressor,
            ZstdError,
        )
    except ImportError:
        raise Damaged(
            "it is compressed with zstd, which Python reads from version 3.14 on",
            hint="use Python 3.14, or pack the archive with xz",
        ) from None
    _broken.add(ZstdError)
    return ZstdDecompressor()


_MAGIC: tuple[tuple[bytes, Callable[[], Any]], ...] = (
    (b"\xfd7zXZ\0", lambda: lzma.LZMADecompressor(memlimit=_LARGEST_DICTIONARY)),
    (b"\x1f\x8b", lambda: zlib.decompressobj(wbits=31)),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\x28\xb5\x2f\xfd", _zstd),
)


def chunks(raw: Readable) -> Iterator[bytes]:
    """The decompressed bytes of `raw`, about 1 MiB at a time. Raises Damaged."""
    data = raw.read(_READ)
    make = next((make for magic, make in _MAGIC if data.startswith(magic)), None)
    if make is None:
        while data:
            yield data
            data = raw.read(_CHUNK)
        return
    try:
        while data:  # a file may be several concatenated compressed streams
            unpacker = make()
            yield from _one_stream(unpacker, data, raw)
            data = (unpacker.unused_data or raw.read(_READ)).lstrip(b"\0")
    except tuple(_broken) as error:
        raise Damaged(str(error) or type(error).__name__) from error


def _one_stream(unpacker: Any, data: bytes, raw: Readable) -> Iterator[bytes]:
    """The content of one compressed stream; `data` is its start, already read from `raw`."""
    while True:
        piece = unpacker.decompress(data, _CHUNK)
        if piece:
            yield piece
        if unpacker.eof:
            return
        data = getattr(unpacker, "unconsumed_tail", b"")  # input that zlib has not used yet
        if not data and getattr(unpacker, "needs_input", True):
            data = raw.read(_READ)
            if not data and not piece:
                raise Damaged("it ends in the middle")
