"""Whether an unpacked tree is still what it was when it was made, though nobody should change one.

    a look at all times ──as they were left──▶ untouched
             └─ otherwise ──▶ all of it packed again: the same sha256, or it was changed

Whoever writes a file changes its time, and whoever makes or removes one that of its folder. Who
hides that, and a disk that forgets, only show where the contents are read.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from plan.toolchain import SOURCE_DATE_EPOCH
from rootfs.pack import Hashing, finish, pack, stamp_times
from rootfs.tree import merge

_LATEST = SOURCE_DATE_EPOCH * 10**9  # nanoseconds


def untouched(tree: Path) -> bool:
    """Whether all in `tree` has the times that artifacts and seeds are given: quick."""
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
    """The sha256 of the artifact that `tree` makes: reads all of it. Raises BuildError."""
    with Path(os.devnull).open("wb") as nowhere:
        out = Hashing(nowhere)
        pack([tree], out)
        finish(out)
    return out.sha256.hexdigest()


def holds(tree: Path, sha256: str) -> bool:
    """Whether `tree` is that of the artifact `sha256`: read only where times are others."""
    if untouched(tree):
        return True
    if sha256_of_tree(tree) != sha256:
        return False
    with contextlib.suppress(OSError):  # of a read-only cache it is read each time
        stamp_times(tree)
    return True


def listing(tree: Path) -> list[list[Any]]:
    """Names, modes, sizes and times: a changed file shows in them, reading a gigabyte is spared."""
    return [
        [entry.path, entry.status.st_mode, entry.status.st_size, entry.status.st_mtime_ns]
        for entry in merge([tree])
    ]
