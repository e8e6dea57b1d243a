"""Packs again what an ext4 file system holds of a package, to see whether it is the artifact.

    /etc/bq2/files/<name> ─▶ paths ─┐
    inodes, extents ──▶ contents ───┴─▶ tar, as rootfs/pack.py writes it ──▶ sha256

Nothing is written: the bytes go into the hash as they are read. So names, modes, links and contents
are proved at once, and bit for bit. What an artifact cannot tell (owner, attributes) is looked at
apart: it has to be 0:0, and none.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable

from plan.errors import BuildError
from rootfs import pack
from rootfs.ext4_reader import Ext4, Inode


class _Digest:
    """What is written to it is hashed and gone."""

    def __init__(self) -> None:
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes) -> None:
        self.sha256.update(data)


def artifact_digest(fs: Ext4, files: Iterable[tuple[bytes, Inode]]) -> str:
    """The sha256 of the artifact that `files` give: path and inode, in an artifact's order.

    Raises BuildError for what is not of the kinds that an artifact can hold.
    """
    out = _Digest()
    first: dict[int, str] = {}
    for path, inode in files:
        name = os.fsdecode(path)
        if stat.S_ISREG(inode.mode) and inode.links > 1:
            target = first.setdefault(inode.number, name)
            if target != name:
                pack.add_link(out, name, target, mode=inode.mode)
                continue
        _add(out, fs, name, inode)
    pack.finish(out)
    return out.sha256.hexdigest()


def file_digest(fs: Ext4, inode: Inode) -> str:
    """The sha256 of a file's content."""
    found = hashlib.sha256()
    for piece in fs.pieces(inode):
        found.update(piece)
    return found.hexdigest()


def _add(out: _Digest, fs: Ext4, name: str, inode: Inode) -> None:
    mode = stat.S_IMODE(inode.mode)
    if stat.S_ISREG(inode.mode):
        pack.add_pieces(out, name, fs.pieces(inode), size=inode.size, mode=mode)
    elif stat.S_ISLNK(inode.mode):
        pack.add_link(out, name, os.fsdecode(fs.target(inode)), mode=inode.mode)
    elif stat.S_ISDIR(inode.mode):
        pack.add_folder(out, name, mode=mode)
    else:
        raise BuildError("is a device, a socket or a pipe", where=f"/{name}")
