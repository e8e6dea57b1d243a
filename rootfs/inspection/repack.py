"""Packs a package's files from an ext4 file system again, to compare them with the artifact.

    /etc/bq2/files/<name> ─▶ paths ─┐
    inodes, extents ──▶ contents ───┴─▶ tar, as rootfs/archives/pack.py writes it ──▶ sha256

Nothing is written: the bytes are only hashed. The hash proves names, modes, links and contents bit
for bit. An artifact does not store owners and extended attributes: a separate check requires owner
0:0 and no attributes.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable

from plan.errors import BuildError
from rootfs.archives import pack
from rootfs.inspection.ext4_reader import Ext4, Inode


def artifact_digest(fs: Ext4, files: Iterable[tuple[bytes, Inode]]) -> str:
    """The sha256 of the artifact made of `files`: (path, inode), in the order of an artifact.

    Raises BuildError for a device, socket or pipe: an artifact cannot hold them.
    """
    out = pack.Hashing()
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


def _add(out: pack.Sink, fs: Ext4, name: str, inode: Inode) -> None:
    mode = stat.S_IMODE(inode.mode)
    if stat.S_ISREG(inode.mode):
        pack.add_pieces(out, name, fs.pieces(inode), size=inode.size, mode=mode)
    elif stat.S_ISLNK(inode.mode):
        pack.add_link(out, name, os.fsdecode(fs.target(inode)), mode=inode.mode)
    elif stat.S_ISDIR(inode.mode):
        pack.add_directory(out, name, mode=mode)
    else:
        raise BuildError("is a device, a socket or a pipe", where=f"/{name}")
