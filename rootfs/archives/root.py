"""Looks at a root file system that is not unpacked: a directory, or a tarball.

    directory ──lstat, when asked──┐
    tarball ──read once, to its end┴──▶ look(path): missing, a link and its target, or another entry
                                          ──▶ find (follows links), matches (a glob), head (bytes)

A path is relative to the root. No link leads out of it.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Protocol

from plan.errors import BuildError
from rootfs.archives.decompress import Damaged
from rootfs.archives.tar_stream import BLOCK, Stream, members
from rootfs.archives.unpack import LIMIT

_MOST_LINKS = 40  # as many as the kernel follows, path_resolution(7)
_HARD_LINK, _SYMBOLIC_LINK = b"1", b"2"  # POSIX.1-2018, pax: typeflag
_HEAD = 64  # bytes of each file that are kept: the header of an ELF file


class _Entries(Protocol):
    """The entries of a root; no link in a path is followed."""

    def look(self, path: str) -> str | None:
        """The target of the link `path`, "" if it is no link, None if it does not exist."""

    def names(self, path: str) -> list[str]:
        """The names in the directory `path`; empty if it is none."""

    def head(self, path: str) -> bytes:
        """The first bytes of the file `path`; empty if it is none."""


class Root:
    """A root file system. Raises BuildError if `path` cannot be read, or is no tarball."""

    def __init__(self, path: Path) -> None:
        self._entries: _Entries = _Directory(path) if path.is_dir() else _Tarball(path)

    def find(self, path: str) -> str | None:
        """`path` with its links followed; None if it does not exist."""
        todo = [part for part in reversed(path.split("/")) if part]
        at: list[str] = []
        links = 0
        while todo:
            part = todo.pop()
            if part == ".":
                continue
            if part == "..":
                at = at[:-1]
                continue
            target = self._entries.look("/".join([*at, part]))
            if target is None:
                return None
            if not target:
                at.append(part)
                continue
            links += 1
            if links > _MOST_LINKS:
                return None
            if target.startswith("/"):
                at = []
            todo += [part for part in reversed(target.split("/")) if part]
        return "/".join(at)

    def matches(self, pattern: str) -> Iterator[str]:
        """The existing paths that match the glob `pattern`, in order; links are followed."""
        paths = [""]
        for part in pattern.split("/"):
            paths = [f"{above}/{name}" for above in paths for name in self._matching(above, part)]
        yield from (path[1:] for path in paths if self.find(path) is not None)

    def _matching(self, above: str, part: str) -> list[str]:
        if not any(sign in part for sign in "*?["):
            return [part]
        place = self.find(above)
        return sorted(fnmatch.filter(self._entries.names(place), part)) if place is not None else []

    def head(self, path: str) -> bytes:
        """The first bytes of the file `path`; empty if it is none."""
        place = self.find(path)
        return self._entries.head(place) if place else b""


class _Directory:
    def __init__(self, path: Path) -> None:
        self._path = path

    def look(self, path: str) -> str | None:
        here = self._path / path
        try:
            return (
                os.fspath(here.readlink()) if here.is_symlink() else "" if here.exists() else None
            )
        except OSError:
            return None

    def names(self, path: str) -> list[str]:
        try:
            return os.listdir(self._path / path)  # noqa: PTH208  names, not paths
        except OSError:
            return []

    def head(self, path: str) -> bytes:
        try:
            with (self._path / path).open("rb") as file:
                return file.read(_HEAD)
        except OSError:
            return b""


class _Tarball:
    def __init__(self, path: Path) -> None:
        self._targets: dict[str, str] = {}
        self._heads: dict[str, bytes] = {}
        try:
            with path.open("rb") as raw, Stream(raw, LIMIT) as stream:
                self._read(stream)
        except Damaged as error:
            raise BuildError(
                f"is no directory and no tarball that can be read: {error}",
                where=os.fspath(path),
                hint="seed= takes the tarball of a root file system: plain, or packed with gzip, "
                "bzip2 or xz",
            ) from error
        except OSError as error:
            raise BuildError(f"cannot be read: {error.strerror}", where=os.fspath(path)) from error

    def _read(self, stream: Stream) -> None:
        for member in members(stream):
            name = _plain(member.name)
            head = stream.take(min(member.size, _HEAD))
            stream.skip(member.size - len(head) + -member.size % BLOCK)
            if member.kind == _HARD_LINK:  # it names a member before it
                head = self._heads.get(_plain(member.link), b"")
            is_link = member.kind == _SYMBOLIC_LINK
            self._targets[name] = os.fsdecode(member.link) if is_link else ""
            self._heads[name] = head

    @cached_property
    def _directories(self) -> dict[str, set[str]]:
        """The names in each directory; a tarball need not hold the directories themselves."""
        found: dict[str, set[str]] = {"": set()}
        for path in self._targets:
            above, _, name = path.rpartition("/")
            while name and name not in found.setdefault(above, set()):
                found[above].add(name)
                above, _, name = above.rpartition("/")
        return found

    def look(self, path: str) -> str | None:
        return self._targets.get(path, "" if path in self._directories else None)

    def names(self, path: str) -> list[str]:
        return list(self._directories.get(path, ()))

    def head(self, path: str) -> bytes:
        return self._heads.get(path, b"")


def _plain(name: bytes) -> str:
    parts = [part for part in os.fsdecode(name).split("/") if part not in ("", ".")]
    return "/".join(parts)
