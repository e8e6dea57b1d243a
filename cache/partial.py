"""A partial file of the cache: locked, counted and hashed while it grows, then renamed.

    partial/<sha256> ──locked──▶ append … ──complete──▶ fsync, read-only, rename ──▶ <sha256>

Only one process works on a file. Another one waits; then it finds the finished file, or continues
the partial one. The lock is flock(2), so it ends with its process. A file with the final name is
always complete and right.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from plan.errors import BuildError
from plan.outputs import sync_directory
from plan.room import no_room

_CHUNK = 1 << 20


class Partial:
    """The content of a locked partial file. It may be wrong until `complete` returns True.

    size: the final size in bytes; 0 if it is unknown, until a server states it. given: the size
    that is known without any server, or 0.
    """

    def __init__(
        self, file: BinaryIO, path: Path, sha256: str, size: int, count: Callable[[int], None]
    ) -> None:
        self.path = path
        self.sha256 = sha256
        self.size = self.given = size
        self.length = 0
        self._file = file
        self._count = count
        self._digest = hashlib.sha256()
        self._hash_what_is_there()

    def append(self, chunk: bytes) -> None:
        """Append `chunk`. Raises BuildError if it cannot be written."""
        rest = memoryview(chunk)
        try:
            while rest:
                written = self._file.write(rest)
                self._digest.update(rest[:written])
                self._grow(written)
                rest = rest[written:]
        except OSError as error:
            raise disk_error(error, self.path) from error

    def empty(self) -> None:
        """Remove all content."""
        self._file.truncate(0)
        self._digest = hashlib.sha256()
        self._grow(-self.length)
        self.size = self.given

    def complete(self) -> bool:
        """Whether this is the whole file and the right one."""
        return self.length == self.size and self.found() == self.sha256

    def found(self) -> str:
        """The sha256 of the content so far."""
        return self._digest.hexdigest()

    def keep(self, final: Path) -> None:
        """Sync the complete file and rename it to `final`, safe against a power cut."""
        try:
            os.fsync(self._file.fileno())
            self.path.rename(final)
            # Not before: another process opens the partial file to write to it, and waits.
            os.fchmod(self._file.fileno(), 0o444)
            sync_directory(final.parent)
        except OSError as error:
            raise disk_error(error, final) from error

    def _hash_what_is_there(self) -> None:
        self._file.seek(0)
        while self.length <= self.size and (chunk := self._file.read(_CHUNK)):
            self._digest.update(chunk)
            self._grow(len(chunk))
        if self.length > self.size or (self.length == self.size and not self.complete()):
            self.empty()

    def _grow(self, by: int) -> None:
        self.length += by
        if by:
            self._count(by)


@contextmanager
def locked(
    path: Path, sha256: str, size: int, *, count: Callable[[int], None], wait: Callable[[], None]
) -> Iterator[Partial]:
    """Lock the partial file at `path`; remove it at the end if it is empty.

    count: called with each change of its length in bytes. wait: called again and again while
    another process or thread has the file; it sleeps, or raises an exception to give up.
    Raises BuildError if the file cannot be opened.
    """
    while True:
        # "a": make it if missing, do not truncate it before it is locked, always append.
        try:
            file = path.open("a+b", buffering=0)
            mine = _lock(file, path)
        except OSError as error:
            raise disk_error(error, path) from error
        with file:
            if mine:
                partial = Partial(file, path, sha256, size, count)
                try:
                    yield partial
                finally:
                    if partial.length == 0:
                        path.unlink(missing_ok=True)
                return
        wait()


def _lock(file: BinaryIO, path: Path) -> bool:
    """Lock `file`; False if it is in use, or if `path` was renamed in the meantime."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def disk_error(error: OSError, path: Path) -> BuildError:
    """The error for a failed write to the cache at `path`."""
    room, other = no_room(error, path), "set BQ2_CACHE to another disk"
    if room:
        hint: str | None = f"{room}; or {other}"
    else:
        hint = other if error.errno == errno.EFBIG else None
    return BuildError(f"the cache cannot be used: {error.strerror}", where=str(path), hint=hint)
