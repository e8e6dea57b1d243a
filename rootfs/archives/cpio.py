"""Deterministic cpio archives in the "newc" format, which the kernel reads as an initramfs.

The same trees and nodes give the same bytes. Members are sorted, owned by 0:0 and have one fixed
time; inode numbers count from 1; hard links stay links. Device nodes come from descriptions, so no
root privilege is needed.

    merge(layers) + nodes ──> members, parents first ──> header, name, data ... trailer

Format: the kernel's Documentation/driver-api/early-userspace/buffer-format.rst and cpio(5).
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from plan.errors import BuildError
from rootfs.archives.tree import Entry, merge

MAGIC = "070701"  # newc, without checksums
FIELDS = (  # each as eight hexadecimal digits, in this order
    *("ino", "mode", "uid", "gid", "nlink", "mtime", "filesize"),
    *("devmajor", "devminor", "rdevmajor", "rdevminor", "namesize", "check"),
)
TRAILER = "TRAILER!!!"
TOP = "."  # the path of a node for the top itself; as in the archives of `find . | cpio -o`
FIELD_MAXIMUM = 0xFFFFFFFF
BLOCK = 512  # the whole archive is padded to this, as cpio(1) does
PIECE = 1 << 20  # bytes of a file to hold in memory at a time


@dataclass(frozen=True)
class Node:
    """A member that has no file on this machine.

    path: relative to the top. mode: file type and permission bits, as in lstat(2).
    device: major and minor number. content: a file's bytes, or a symbolic link's target.
    """

    path: str
    mode: int
    device: tuple[int, int] = (0, 0)
    content: bytes = b""


def directory(path: str, permissions: int = 0o755) -> Node:
    """A directory."""
    return Node(path, stat.S_IFDIR | permissions)


def character_device(path: str, major: int, minor: int, permissions: int) -> Node:
    """A character device: `character_device("dev/console", 5, 1, 0o600)`."""
    return Node(path, stat.S_IFCHR | permissions, (major, minor))


def write_cpio(
    layers: Sequence[Path],
    out: IO[bytes],
    *,
    mtime: int,
    extra: Sequence[Node] = (),
    exclude: Sequence[str] = (),
) -> int:
    """Write the merged layers, with the extra nodes over them; return the number of bytes.

    mtime: seconds since 1970 for every member. exclude: globs for `tree.merge`; they do not apply
    to `extra`. Raises BuildError for the errors of `tree.merge`, for a node outside the tree or
    without a parent directory, a file of 4 GiB or more, and a file that changes while it is read.
    """
    members = _members(merge(layers, exclude=exclude), extra)
    names = Counter(member.identity for member in members)
    unwritten = Counter(names)
    numbers: dict[tuple[str, bool], int] = {}
    written = 0
    for member in members:
        unwritten[member.identity] -= 1
        if unwritten[member.identity]:  # cpio(5): only the last hard link of a file has its data
            member = replace(member, contents=b"", size=0)
        number = numbers.setdefault(member.identity, len(numbers) + 1)
        links = 2 if stat.S_ISDIR(member.mode) else names[member.identity]
        written += _write_member(out, member, ino=number, nlink=links, mtime=mtime)
    trailer = _Member(TRAILER, (TRAILER, True), 0, (0, 0), b"", 0)
    written += _write_member(out, trailer, ino=0, nlink=1, mtime=0)
    return written + out.write(bytes(-written % BLOCK))


@dataclass(frozen=True)
class _Member:
    """An entry or a node of the archive. identity: the same for all hard links of a file."""

    path: str
    identity: tuple[str, bool]
    mode: int
    device: tuple[int, int]
    contents: Path | bytes
    size: int


def _members(entries: Sequence[Entry], extra: Sequence[Node]) -> list[_Member]:
    """All members, sorted; an extra node replaces an entry of the same path."""
    members = {entry.path: _of_entry(entry) for entry in entries}
    for node in extra:
        is_top = node.path == TOP and stat.S_ISDIR(node.mode)
        if {*node.path.split("/")} & {"", ".", ".."} and not is_top:
            raise BuildError("a node's path must be relative, without . or ..", where=node.path)
        old = members.get(node.path)
        if old is not None and stat.S_ISDIR(old.mode) != stat.S_ISDIR(node.mode):
            raise BuildError("is a directory in only one of tree and nodes", where=node.path)
        content = node.content
        members[node.path] = _Member(
            node.path, (node.path, True), node.mode, node.device, content, len(content)
        )
    for node in extra:
        parent = node.path.rpartition("/")[0]
        if parent and (parent not in members or not stat.S_ISDIR(members[parent].mode)):
            hint = f"without it the kernel drops {node.path} silently: add the directory as a node"
            raise BuildError("is not a directory of the archive", where=parent, hint=hint)
    return sorted(members.values(), key=lambda member: os.fsencode(member.path))


def _of_entry(entry: Entry) -> _Member:
    status = entry.status
    data: Path | bytes = b""
    size = 0
    if stat.S_ISREG(status.st_mode):
        data, size = entry.source, status.st_size
    elif stat.S_ISLNK(status.st_mode):
        data = os.fsencode(entry.source.readlink())
        size = len(data)
    device = os.major(status.st_rdev), os.minor(status.st_rdev)
    return _Member(
        entry.path, (entry.link or entry.path, False), status.st_mode, device, data, size
    )


def _write_member(out: IO[bytes], member: _Member, *, ino: int, nlink: int, mtime: int) -> int:
    """Write one member, name and data each padded to four bytes; return the number of bytes."""
    name = os.fsencode(member.path) + b"\0"
    values = {
        "ino": ino,
        "mode": member.mode,
        "nlink": nlink,
        "mtime": mtime,
        "filesize": member.size,
        "rdevmajor": member.device[0],
        "rdevminor": member.device[1],
        "namesize": len(name),
    }
    for field, value in values.items():
        if not 0 <= value <= FIELD_MAXIMUM:
            raise BuildError(f"{field} {value} does not fit into newc", where=member.path)
    head = (MAGIC + "".join(f"{values.get(field, 0):08x}" for field in FIELDS)).encode() + name
    written = out.write(head + bytes(-len(head) % 4))
    for piece in _pieces(member):
        written += out.write(piece)
    return written + out.write(bytes(-written % 4))


def _pieces(member: _Member) -> Iterator[bytes]:
    """The contents in pieces, exactly as long as the header says."""
    if isinstance(member.contents, bytes):
        yield member.contents
        return
    left, where = member.size, os.fspath(member.contents)
    try:
        with member.contents.open("rb") as file:
            while left and (piece := file.read(min(left, PIECE))):
                left -= len(piece)
                yield piece
    except OSError as error:
        raise BuildError(f"cannot be read: {error.strerror}", where=where) from error
    if left:
        raise BuildError("became shorter while it was read", where=where, hint="run it again")
