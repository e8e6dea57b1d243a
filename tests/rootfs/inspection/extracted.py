"""Writes the tree of an ext4 file system, as our own reader sees it, into a directory."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from rootfs.inspection.ext4_reader import Ext4


def extracted(system: Ext4, into: Path) -> None:
    """All directories, files and links of `system`; devices, owners and times are left out."""
    into.mkdir()
    for name, inode in system.walk():
        path, kind = into / os.fsdecode(name), stat.S_IFMT(inode.mode)
        if kind == stat.S_IFDIR:
            path.mkdir()
        elif kind == stat.S_IFLNK:
            path.symlink_to(os.fsdecode(system.target(inode)))
        elif kind == stat.S_IFREG:
            with path.open("wb") as file:
                file.writelines(system.pieces(inode))
            path.chmod(stat.S_IMODE(inode.mode) & 0o777)
