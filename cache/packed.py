"""The packed form of an artifact in a shared cache: gzip (RFC 1952), one member.

artifact ──pack──▶ packed file      the same file for the same artifact and zlib
packed file ──unpacked──▶ artifact  only if both have the size and hash of the claim
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from cache.remote import Claim
from cache.store import Finished

_LEVEL = 6  # of gzip: more costs much time and saves little
_CHUNK = 1 << 20
_GZIP = 16 + zlib.MAX_WBITS  # the form that zlib reads: only gzip's (zlib.h, inflateInit2)


def pack(artifact: Path, facts: Finished, into: Path) -> Claim:
    """Pack the file `artifact` into the file `into`, without name and time. Returns its claim."""
    with (
        artifact.open("rb") as file,
        into.open("wb") as out,
        gzip.GzipFile("", "wb", _LEVEL, out, mtime=0) as packing,
    ):
        shutil.copyfileobj(file, packing, _CHUNK)
    with into.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return Claim(**facts.facts, packed=sha256, packed_size=into.stat().st_size)


def chunks(file: BinaryIO) -> Iterator[bytes]:
    """The content of `file`, in parts."""
    while chunk := file.read(_CHUNK):
        yield chunk


def unpacked(packed: Iterable[bytes], claim: Claim) -> Iterator[bytes]:
    """The artifact of `claim` from its packed form, both in parts.

    Raises ValueError, at the latest after the last part, if one of them is not what the claim says.
    """
    inflate = zlib.decompressobj(_GZIP)
    outside, inside, size = hashlib.sha256(), hashlib.sha256(), 0
    for chunk in packed:
        outside.update(chunk)
        while chunk:
            try:
                part = inflate.decompress(chunk, _CHUNK)
            except zlib.error as error:
                raise ValueError(f"it is not packed: {error}") from error
            chunk, size = inflate.unconsumed_tail, size + len(part)
            if size > claim.size or inflate.unused_data:
                raise ValueError("it is larger than its record says")
            inside.update(part)
            yield part
    part = inflate.flush()  # what the limit of the last call held back
    size += len(part)
    inside.update(part)
    yield part
    if outside.hexdigest() != claim.packed:
        raise ValueError("it has another hash")
    if size != claim.size or inside.hexdigest() != claim.artifact or not inflate.eof:
        raise ValueError("its content is not the artifact")
