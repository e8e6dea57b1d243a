"""Takes things out of the user's cache while others use it.

    looked at alone (cache.uses.removing) ──still to go──▶ hidden at once ──▶ removed at leisure

So nobody sees half a tree under its name, and nothing goes that was mended meanwhile.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from cache.uses import removing, saying
from rootfs.files import remove_tree, unfinished


def hide(path: Path) -> Path:
    """Take the name of `path` away, if it still has it; the one to remove it by."""
    target = unfinished(path)
    with contextlib.suppress(FileNotFoundError):  # what is found damaged goes by itself
        path.rename(target)
    return target


def is_damaged(path: Path, damaged: Callable[[Path], bool]) -> bool:
    """Whether `path` is there and `damaged`; what goes away meanwhile is not."""
    try:
        return path.exists() and damaged(path)
    except FileNotFoundError:
        return path.exists()


def drop(path: Path, damaged: Callable[[Path], bool]) -> bool:
    """Remove `path` if it is `damaged`; whether it was. Only what seems so is looked at alone.

    Raises BuildError if the cache cannot be written to.
    """
    with saying():
        if not is_damaged(path, damaged):
            return False
    with removing():
        if not is_damaged(path, damaged):
            return False
        hidden = hide(path)
    remove_tree(hidden)
    return True
