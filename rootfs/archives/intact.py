"""Checks that an unpacked tree was not changed.

    compare all mtimes ──equal──▶ untouched
             └─ otherwise ──▶ pack the tree again: the same sha256, or it was changed

Writing a file changes its mtime; adding or removing one changes the mtime of its directory. This
check does not find a change that restores the mtime, or a disk error: only reading the content can.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from plan.compiling.toolchain import SOURCE_DATE_EPOCH
from rootfs.archives.pack import Hashing, finish, pack, stamp_times
from rootfs.archives.tree import merge

_LATEST = SOURCE_DATE_EPOCH * 10**9  # nanoseconds


def untouched(tree: Path) -> bool:
    """Whether all files in `tree` have the mtimes of an artifact or seed. Reads no contents."""
    if tree.stat().st_mtime_ns != _LATEST:
        return False
    pending = [os.fspath(tree)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                time = entry.stat(follow_symlinks=False).st_mtime_ns
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                    if time != _LATEST:
                        return False
                elif time > _LATEST:
                    return False
    return True


def sha256_of_tree(tree: Path) -> str:
    """The sha256 of the artifact packed from `tree`: reads all files. Raises BuildError."""
    out = Hashing()
    pack([tree], out)
    finish(out)
    return out.sha256.hexdigest()


def holds(tree: Path, sha256: str) -> bool:
    """Whether `tree` is that of the artifact `sha256`. Reads it only if an mtime differs."""
    if untouched(tree):
        return True
    if sha256_of_tree(tree) != sha256:
        return False
    with contextlib.suppress(OSError):  # a read-only cache: the tree is read again next time
        stamp_times(tree)
    return True


def listing(tree: Path) -> list[list[Any]]:
    """Names, modes, sizes and mtimes: they show a changed file without reading its content."""
    return [
        [entry.path, entry.status.st_mode, entry.status.st_size, entry.status.st_mtime_ns]
        for entry in merge([tree])
    ]
