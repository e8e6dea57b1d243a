"""Packs trees into tar files whose bytes depend only on names, modes, links and contents.

    DESTDIR ──tidy──▶ tree ──pack──▶ tar (ustar with pax headers where needed), sha256

Members are sorted, owned by 0:0 and dated SOURCE_DATE_EPOCH. The tar is not compressed: the output
of a compressor depends on its version.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Protocol

from plan.compiling.toolchain import SOURCE_DATE_EPOCH
from plan.errors import BuildError
from rootfs.archives.files import make_enterable, remove_tree
from rootfs.archives.tree import Entry, merge

TYPES = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
}


class Sink(Protocol):
    """Anything that bytes can be written to."""

    def write(self, data: bytes, /) -> object: ...


class Hashing:
    """The sha256 and the size of all data written; `file` gets the data too, if there is one."""

    def __init__(self, file: IO[bytes] | None = None) -> None:
        self.file = file
        self.sha256 = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        """Take more data."""
        self.sha256.update(data)
        self.size += len(data)
        if self.file:
            self.file.write(data)


def tidy(tree: Path, *, remove: Sequence[str]) -> None:
    """Prepare a DESTDIR for packing: remove unwanted files, set all modes and times.

    remove: globs of the paths to remove. Raises BuildError for set-user-id files, devices and
    sockets, and for names that `rootfs.archives.unpack` refuses.
    """
    # First, and also for root: the result must not depend on the user who builds.
    make_enterable(tree)
    kept = {entry.path for entry in merge([tree], exclude=remove)}
    for entry in merge([tree]):
        path = tree / entry.path
        if entry.path not in kept:
            if path.is_symlink() or path.exists():
                remove_tree(path)
            continue
        mode = entry.status.st_mode
        if stat.S_IFMT(mode) not in TYPES or mode & (stat.S_ISUID | stat.S_ISGID):
            raise BuildError(
                "the package installs a device, socket or set-id file",
                where=entry.path,
                hint="remove it with the recipe's `remove`, or its set-id bits with `after`",
            )
        if "\n" in entry.path:
            raise BuildError(
                f"the package installs {entry.path!r}: a name with a newline",
                hint="remove it with the recipe's `remove` or `after`",
            )
        if not stat.S_ISLNK(mode):
            # A user who unpacks the result must be able to replace and remove each file.
            path.chmod(stat.S_IMODE(mode) | (0o700 if stat.S_ISDIR(mode) else 0o600))
    stamp_times(tree)


def stamp_times(tree: Path) -> None:
    """Give `tree` and everything below it the time SOURCE_DATE_EPOCH."""
    times = (SOURCE_DATE_EPOCH, SOURCE_DATE_EPOCH)
    for directory, names, files in os.walk(tree, topdown=False):
        for name in (*names, *files):
            os.utime(os.path.join(directory, name), times, follow_symlinks=False)
    os.utime(tree, times)


def pack(
    layers: Sequence[Path], out: Sink, *, prefix: str = "", exclude: Sequence[str] = ()
) -> None:
    """Write the members of the merged `layers` (later wins), each named `prefix` + its path.

    `finish` writes the end-of-archive blocks, so several calls can follow each other.
    Raises BuildError for a file that a tar archive cannot hold.
    """
    for entry in merge(layers, exclude=exclude):
        add(out, prefix + entry.path, entry)


def add(out: Sink, name: str, entry: Entry) -> None:
    """Write one member called `name`."""
    mode = entry.status.st_mode
    if entry.link is not None:
        add_link(out, name, name.removesuffix(entry.path) + entry.link, mode=mode)
    elif stat.S_ISREG(mode):
        add_file(out, name, entry.source, mode=stat.S_IMODE(mode))
    elif stat.S_ISLNK(mode):
        add_link(out, name, os.readlink(entry.source), mode=mode)
    else:
        _write(out, _header(name, mode))


def add_link(out: Sink, name: str, target: str, *, mode: int) -> None:
    """Write one link to `target`: symbolic, or hard if `mode` is a regular file's.

    The target of a hard link is an earlier member.
    """
    info = _header(name, mode)
    info.type = tarfile.SYMTYPE if stat.S_ISLNK(mode) else tarfile.LNKTYPE
    info.linkname = target
    _write(out, info)


def add_file(out: Sink, name: str, path: Path, *, mode: int) -> None:
    """Write one regular file with the content of `path` and the given `mode`."""
    with path.open("rb") as file:
        pieces = iter(lambda: file.read(1 << 20), b"")
        add_pieces(out, name, pieces, size=path.stat().st_size, mode=mode)


def add_pieces(out: Sink, name: str, pieces: Iterable[bytes], *, size: int, mode: int) -> None:
    """Write one regular file of `size` bytes with the content `pieces`."""
    out.write(file_header(name, size=size, mode=mode))
    for piece in pieces:
        out.write(piece)
    out.write(bytes(-size % tarfile.BLOCKSIZE))


def file_header(name: str, *, size: int, mode: int = 0o644) -> bytes:
    """The header of a regular file of `size` bytes: one block, or more if a number is large."""
    info = _header(name, stat.S_IFREG | mode)
    info.size = size
    return _encoded(info)


def add_bytes(out: Sink, name: str, content: bytes, *, mode: int = 0o644) -> None:
    """Write one regular file with the given content."""
    add_pieces(out, name, [content], size=len(content), mode=mode)


def add_directory(out: Sink, name: str, *, mode: int = 0o755) -> None:
    """Write one directory."""
    _write(out, _header(name, stat.S_IFDIR | mode))


def finish(out: Sink) -> None:
    """Write the end of the archive: two empty blocks (POSIX.1, pax)."""
    out.write(bytes(2 * tarfile.BLOCKSIZE))


def _header(name: str, mode: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = TYPES[stat.S_IFMT(mode)]
    info.mode = stat.S_IMODE(mode) if not stat.S_ISLNK(mode) else 0o777
    info.mtime = SOURCE_DATE_EPOCH
    return info


def _write(out: Sink, info: tarfile.TarInfo) -> None:
    out.write(_encoded(info))


def _encoded(info: tarfile.TarInfo) -> bytes:
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
