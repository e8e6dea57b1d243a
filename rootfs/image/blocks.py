"""The blocks of a disk that have data, for formats that keep a map of blocks.

disk ──▶ blocks that are not all zeros, in order ──▶ a writer
                      └──sha256──▶ identifiers that depend only on the content
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from uuid import UUID, uuid5

from plan.errors import BuildError
from rootfs.image.disk import Disk
from rootfs.image.gpt import NAMESPACE


class Blocks:
    """Iterates over (number, bytes) of the blocks of `size` bytes; all other blocks are zeros.

    Raises BuildError if the disk is not a whole number of blocks, or a file cannot be read.
    """

    def __init__(self, disk: Disk, size: int) -> None:
        if disk.size % size:
            raise BuildError(f"a disk of {disk.size} bytes is not a whole number of blocks")
        self.disk, self.size, self.count = disk, size, disk.size // size
        self._digest = hashlib.sha256(b"%d" % disk.size)

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        for offset, piece in self.disk.data(self.size):
            self._digest.update(b"%d" % offset)
            self._digest.update(piece)
            yield offset // self.size, piece

    def identifier(self, what: str) -> UUID:
        """The identifier `what` of the disk; complete after the last block."""
        return uuid5(NAMESPACE, f"{self._digest.hexdigest()} {what}")
