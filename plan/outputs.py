"""Writes a file whole or not at all; it must never replace a device, FIFO or socket.

nothing, a regular file ──▶ written beside it, then renamed to it
a symbolic link to one of these ──▶ the same for its target; the link stays
a directory, a device, a FIFO, a socket ──▶ refused, with the remedy
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

_TO_DEVICE = (
    "name a file, then copy it there: an image with `qemu-img convert -O raw FILE DEVICE`, "
    "anything else with `dd if=FILE of=DEVICE`"
)
_TO_READER = "name a file, then send it there: `cat FILE > PATH`"
_REFUSED: Mapping[int, tuple[str, str]] = {
    stat.S_IFDIR: ("a directory", "name a file in it"),
    stat.S_IFBLK: ("a block device", _TO_DEVICE),
    stat.S_IFCHR: ("a character device", _TO_DEVICE),
    stat.S_IFIFO: ("a FIFO", _TO_READER),
    stat.S_IFSOCK: ("a socket", _TO_READER),
}


def target(path: Path) -> Path:
    """The path at which the file `path` is written: the end of its symbolic links.

    Raises OSError whose text is the reason and the remedy, if the path exists and is not a regular
    file, if the links form a loop, if they lead to a missing directory, or if it cannot be made.
    """
    end = Path(os.path.realpath(path))
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        if path.is_symlink() and not end.parent.is_dir():
            text = f"it is a link to {end}, whose directory does not exist: create it"
            raise FileNotFoundError(errno.ENOENT, text, os.fspath(path)) from None
        _require_place(end)
        return end
    if kind in _REFUSED:
        what, remedy = _REFUSED[kind]
        raise FileExistsError(errno.EEXIST, f"it is {what}: {remedy}", os.fspath(path))
    return end


def require_room(path: Path) -> None:
    """Raise OSError, with the reason as its text, if the file `path` cannot be made or replaced.

    For what is written after hours: a file system may refuse any new file, whatever the modes say.
    """
    end = target(path)
    above = next(each for each in end.parents if os.path.lexists(each))
    try:
        try:
            made = os.open(above, os.O_TMPFILE | os.O_WRONLY, 0o600)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
                raise
            # It makes no file without a name: FUSE, NFS, and /proc, which makes none at all.
            probe = unfinished(above / "probe")
            made = os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            probe.unlink()
        os.close(made)
    except OSError as error:
        text = f"no file can be made in {above} ({error.strerror}): name another place"
        raise OSError(error.errno, text, os.fspath(path)) from None


def _require_place(file: Path) -> None:
    """Raise OSError if the missing `file` cannot be made: its directory is none, or another's."""
    above = next(each for each in file.parents if os.path.lexists(each))
    if not above.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, f"{above} is not a directory", os.fspath(file))
    if not os.access(above, os.W_OK | os.X_OK):
        text = f"you may not write to {above}: name another place"
        raise PermissionError(errno.EACCES, text, os.fspath(file))


def unfinished(path: Path) -> Path:
    """The hidden temporary name beside `path`, for use until this thread has finished it.

    `cache.store` removes such names from the cache when their process no longer runs.
    """
    return path.with_name(f".{os.getpid()}.{threading.get_native_id()}.{path.name}")


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file that becomes `path` when the block ends without an error: write, fsync, rename.

    Until then it has a temporary name beside `path`; an exception removes it. A link is followed.
    Raises OSError, also if `path` exists and is not a regular file.
    """
    path = target(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = unfinished(path)
    try:
        with part.open("w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        sync_directory(path.parent)
    except BaseException as error:
        with suppress(OSError):  # the first error is the one to tell
            part.unlink()
        # A full disk names no file, and nobody knows the temporary one.
        if isinstance(error, OSError) and error.filename in (None, os.fspath(part)):
            error.filename = os.fspath(path)
        raise


def sync_directory(path: Path) -> None:
    """Make a rename inside the directory `path` durable (fsync)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(path: Path, content: str | bytes) -> None:
    """Write `content`, a text as UTF-8, to the file `path` as `replacing` does. Raises OSError."""
    with replacing(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)
