"""Small file operations that hold whatever a build left behind, and survive a power cut."""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from plan.outputs import target


def remove_tree(path: Path) -> None:
    """Remove `path` and all below it, also folders that nobody may enter. Missing is fine."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    try:
        shutil.rmtree(path)
    except PermissionError:
        make_enterable(path)
        shutil.rmtree(path)


def make_enterable(tree: Path) -> None:
    """Let their owner read, change and enter the folder `tree` and all folders below it."""
    tree.chmod(stat.S_IMODE(tree.stat().st_mode) | stat.S_IRWXU)
    for folder, names, _ in os.walk(tree):
        for name in names:
            status = os.lstat(inner := os.path.join(folder, name))
            if stat.S_ISDIR(status.st_mode):
                os.chmod(inner, stat.S_IMODE(status.st_mode) | stat.S_IRWXU)


def file_sha256(path: Path) -> str:
    """The sha256 of the content of the file `path`, in hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def last_bytes(path: Path, size: int) -> bytes:
    """The last `size` bytes of the file at `path`, or all of a shorter one. Raises OSError."""
    with path.open("rb") as file:
        file.seek(-min(size, os.fstat(file.fileno()).st_size), os.SEEK_END)
        return file.read()


def fresh_folder(path: Path) -> Path:
    """An empty folder at `path`, whatever was there before; its mode is not the umask's."""
    remove_tree(path)
    path.mkdir(parents=True)
    path.chmod(0o755)
    return path


def unfinished(path: Path) -> Path:
    """The name of what will be `path`, while this process makes it: hidden, and beside it.

    `cache.store` sweeps the names of processes that are gone out of the cache.
    """
    return path.with_name(f".{os.getpid()}.{path.name}")


@contextmanager
def being_made(path: Path) -> Iterator[Path]:
    """An empty folder beside `path`, to be filled and renamed to it; else it is removed again.

    Also where the disk is full: it would stay so.
    """
    part = fresh_folder(unfinished(path))
    try:
        yield part
    finally:
        remove_tree(part)


def remove_unfinished(path: Path) -> None:
    """Remove what processes that were killed left of `path` beside it."""
    for left in path.parent.glob(f".[0-9]*.{glob.escape(path.name)}"):
        if not os.path.exists(f"/proc/{left.name.split('.')[1]}"):
            remove_tree(left)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file that becomes `path` when the block ends well: write, fsync, rename.

    Until then it has a temporary name beside it; after an exception nothing is left. A link is
    followed. Raises OSError, also where `path` is no regular file: nothing else is replaced.
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
        sync_folder(path.parent)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def sync_folder(path: Path) -> None:
    """Make a rename inside the folder `path` last."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
