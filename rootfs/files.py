"""Small file operations that hold whatever a build left behind, and survive a power cut."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


def remove_tree(path: Path) -> None:
    """Remove `path` and all below it, also folders that nobody may enter. Missing is fine."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    try:
        shutil.rmtree(path)
    except PermissionError:
        path.chmod(stat.S_IRWXU)
        for folder, names, _ in os.walk(path):
            for name in names:
                if not os.path.islink(inner := os.path.join(folder, name)):
                    os.chmod(inner, stat.S_IRWXU)
        shutil.rmtree(path)


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
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file that becomes `path` when the block ends well: write, fsync, rename.

    Until then it has a temporary name beside it; after an exception nothing is left.
    """
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
