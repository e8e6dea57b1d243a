"""Where a file that a person names is written, and what must not be replaced by one.

nothing, a regular file ──▶ written beside it, and renamed to it
a link to one of these ──▶ the same at its end; the link stays
a directory, a device, a FIFO, a socket ──▶ refused, with what to do instead
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from pathlib import Path

_TO_DEVICE = (
    "name a file, and copy it there then: an image by `qemu-img convert -O raw FILE DEVICE`, "
    "anything else by `dd if=FILE of=DEVICE`"
)
_TO_READER = "name a file, and send it there then: `cat FILE > PATH`"
_REFUSED: Mapping[int, tuple[str, str]] = {
    stat.S_IFDIR: ("a directory", "name a file in it"),
    stat.S_IFBLK: ("a block device", _TO_DEVICE),
    stat.S_IFCHR: ("a character device", _TO_DEVICE),
    stat.S_IFIFO: ("a FIFO", _TO_READER),
    stat.S_IFSOCK: ("a socket", _TO_READER),
}


def target(path: Path) -> Path:
    """Where what is written as the file `path` comes to lie: at the end of its symbolic links.

    Raises OSError with the reason and the remedy as its text: something else than a file is there,
    the links lead in a circle, or into a directory that is not there.
    """
    end = Path(os.path.realpath(path))
    try:
        kind = stat.S_IFMT(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        if path.is_symlink() and not end.parent.is_dir():
            text = f"it is a link to {end}, whose directory is not there: make that directory"
            raise FileNotFoundError(errno.ENOENT, text, os.fspath(path)) from None
        return end
    if kind in _REFUSED:
        what, remedy = _REFUSED[kind]
        raise FileExistsError(errno.EEXIST, f"it is {what}: {remedy}", os.fspath(path))
    return end
