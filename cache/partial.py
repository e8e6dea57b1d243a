"""A file on its way into the cache: locked, counted and hashed while it grows, then kept.

    partial/<sha256> ──locked──▶ append … ──complete──▶ fsync, read-only, rename ──▶ <sha256>

One process at a time works on a file; another one waits, and then finds it kept or goes on where
the first one stopped. The lock is the kernel's, so it cannot outlive whoever held it. At no time
is there a wrong or half a file under the final name.
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

from cache import paths
from plan.errors import BuildError
from plan.room import no_room

_CHUNK = 1 << 20


class Partial:
    """The content of a locked partial file. Its bytes may be wrong until `complete` says no.

    size: how long it has to become; 0 while that is unknown, until a place has said it.
    """

    def __init__(
        self, file: BinaryIO, path: Path, sha256: str, size: int, count: Callable[[int], None]
    ) -> None:
        self.path = path
        self.sha256 = sha256
        self.size = self._given = size
        self.length = 0
        self._file = file
        self._count = count
        self._digest = hashlib.sha256()
        self._hash_what_is_there()

    def append(self, chunk: bytes) -> None:
        """Add `chunk`. Raises BuildError when the disk does not take it."""
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
        """Throw away what has come so far."""
        self._file.truncate(0)
        self._digest = hashlib.sha256()
        self._grow(-self.length)
        self.size = self._given

    def complete(self) -> bool:
        """Whether this is the whole file and the right one."""
        return self.length == self.size and self.found() == self.sha256

    def found(self) -> str:
        """The sha256 of what has come so far."""
        return self._digest.hexdigest()

    def keep(self, final: Path) -> None:
        """Put the complete file under its final name, safe against a power cut."""
        try:
            os.fsync(self._file.fileno())
            os.fchmod(self._file.fileno(), 0o444)
            self.path.rename(final)
            paths.sync(final.parent)
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
    """The partial file at `path`, for this caller alone; removed afterwards if it is empty.

    count: told of each change of its length in bytes. wait: called again and again while another
    process or thread has the file; it takes its time, or raises to give up.
    Raises BuildError when the file cannot be opened.
    """
    while True:
        # "a": made if missing, never cut short before it is locked, always written at its end.
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
    """Whether `file` is locked now and still is what `path` names: it may have been kept."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def disk_error(error: OSError, path: Path) -> BuildError:
    """What to raise when the cache's disk fails at `path`."""
    room, other = no_room(error, path), "set BQ2_CACHE to another disk"
    if room:
        hint: str | None = f"{room}; or {other}"
    else:
        hint = other if error.errno == errno.EFBIG else None
    return BuildError(f"the cache fails: {error.strerror}", where=str(path), hint=hint)
