"""Removes things from the user's cache while other runs use it.

    checked under the lock (cache.uses.removing) ──still unused──▶ renamed at once ──▶ removed later

So nobody sees half a tree under its name, and nothing is removed that was repaired meanwhile.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from cache.uses import removing, saying
from plan.outputs import unfinished
from rootfs.archives.files import remove_tree


def hide(path: Path) -> Path:
    """Rename `path`, if it exists, and return the new path, for the removal."""
    target = unfinished(path)
    with contextlib.suppress(FileNotFoundError):  # damaged things are also removed elsewhere
        path.rename(target)
    return target


def is_damaged(path: Path, damaged: Callable[[Path], bool]) -> bool:
    """Whether `path` exists and is `damaged`; False if it vanishes during the check."""
    try:
        return path.exists() and damaged(path)
    except FileNotFoundError:
        return path.exists()


def drop(path: Path, damaged: Callable[[Path], bool], cache: Path) -> bool:
    """Remove `path` of `cache` if it is `damaged`; return whether it was. The lock is only taken
    for the second check. Raises BuildError if the cache cannot be written.
    """
    with saying(cache):
        if not is_damaged(path, damaged):
            return False
    with removing(cache):
        if not is_damaged(path, damaged):
            return False
        hidden = hide(path)
    remove_tree(hidden)
    return True
