"""Turns trees into tar files whose bytes depend on names, modes, links and contents alone.

    DESTDIR ──tidy──▶ tree ──pack──▶ tar (ustar with pax headers where needed), sha256

Members are sorted, owned by 0:0 and dated SOURCE_DATE_EPOCH. The tar is not compressed: the
bytes a compressor gives depend on its version, the bytes of a tar do not.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Protocol

from plan.errors import BuildError
from plan.toolchain import SOURCE_DATE_EPOCH
from rootfs.files import make_enterable, remove_tree
from rootfs.tree import Entry, merge

TYPES = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
}


class Sink(Protocol):
    """Whatever bytes can be written to."""

    def write(self, data: bytes, /) -> object: ...


class Hashing:
    """A file that is written to, and the sha256 and the size of all that was."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.sha256 = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        self.size += len(data)
        return self.file.write(data)


def tidy(tree: Path, *, remove: Sequence[str]) -> None:
    """Bring a DESTDIR into its final form: drop what is not wanted, set all times.

    `remove` are globs of paths to drop. Raises BuildError for set-user-id files, devices and
    sockets: no package has a reason for them; and for names that `rootfs.archive` refuses.
    """
    # Before anything is looked at, and for root too: the result is the same, whoever builds.
    make_enterable(tree)
    kept = {entry.path for entry in merge([tree], leave=remove)}
    for entry in merge([tree]):
        path = tree / entry.path
        if entry.path not in kept:
            if path.is_symlink() or path.exists():
                remove_tree(path)
            continue
        mode = entry.status.st_mode
        if stat.S_IFMT(mode) not in TYPES or mode & (stat.S_ISUID | stat.S_ISGID):
            raise BuildError(
                "the package installs a device, socket or set-id file", where=entry.path
            )
        if "\n" in entry.path:
            raise BuildError(
                f"the package installs {entry.path!r}: a name with a newline",
                hint="leave it out with the recipe's `remove`, or `after`",
            )
        if not stat.S_ISLNK(mode):
            # Somebody who unpacks the result must be able to replace and remove it.
            path.chmod(stat.S_IMODE(mode) | (0o700 if stat.S_ISDIR(mode) else 0o600))
    stamp_times(tree)


def stamp_times(tree: Path) -> None:
    """Give `tree` and everything below it the time SOURCE_DATE_EPOCH."""
    times = (SOURCE_DATE_EPOCH, SOURCE_DATE_EPOCH)
    for folder, names, files in os.walk(tree, topdown=False):
        for name in (*names, *files):
            os.utime(os.path.join(folder, name), times, follow_symlinks=False)
    os.utime(tree, times)


def pack(layers: Sequence[Path], out: Sink, *, prefix: str = "", leave: Sequence[str] = ()) -> None:
    """Write the members of the composed `layers` (later wins), each named `prefix` + its path.

    The end-of-archive blocks are not written, so that calls can follow each other: `finish`
    does that. Raises BuildError for what a tar file cannot hold.
    """
    for entry in merge(layers, leave=leave):
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
    """Write one link to `target`: a symbolic one, or where `mode` is a file's another name of it,
    `target` being an earlier member."""
    info = _header(name, mode)
    info.type = tarfile.SYMTYPE if stat.S_ISLNK(mode) else tarfile.LNKTYPE
    info.linkname = target
    _write(out, info)


def add_file(out: Sink, name: str, path: Path, *, mode: int) -> None:
    """Write one regular file with the content of `path`, whatever mode that has here."""
    with path.open("rb") as file:
        pieces = iter(lambda: file.read(1 << 20), b"")
        add_pieces(out, name, pieces, size=path.stat().st_size, mode=mode)


def add_pieces(out: Sink, name: str, pieces: Iterable[bytes], *, size: int, mode: int) -> None:
    """Write one regular file of `size` bytes with the content `pieces`."""
    info = _header(name, stat.S_IFREG | mode)
    info.size = size
    _write(out, info)
    for piece in pieces:
        out.write(piece)
    out.write(bytes(-size % tarfile.BLOCKSIZE))


def add_bytes(out: Sink, name: str, content: bytes, *, mode: int = 0o644) -> None:
    """Write one regular file with the given content."""
    add_pieces(out, name, [content], size=len(content), mode=mode)


def add_folder(out: Sink, name: str, *, mode: int = 0o755) -> None:
    """Write one folder."""
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
    out.write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
