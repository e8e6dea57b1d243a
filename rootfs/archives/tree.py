"""Merges directory trees (layers) into one sorted list of entries.

The same layers give the same list: the order of creation, the locale, the user and the file system
do not matter. Nothing is copied. As in overlayfs, a later layer wins and directories merge. But a
directory in one layer and a file in another at the same path is an error that names both.

    layers ──walk, exclude──> entries by path ──later wins──> sorted, hard links named
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from plan.errors import BuildError
from rootfs.archives.globs import compiled


@dataclass(frozen=True)
class Entry:
    """One file, directory, link or node of the merged tree.

    path: relative to the top, without a leading slash; `os.fsencode` gives its exact bytes.
    source: its path on this machine. status: its lstat. layer: the number of its layer.
    link: the path of an earlier entry that is the same regular file (a hard link), or None.
    """

    path: str
    source: Path
    status: os.stat_result
    layer: int
    link: str | None = None


def merge(layers: Sequence[Path], *, exclude: Sequence[str] = ()) -> list[Entry]:
    """The entries of all layers, sorted by the bytes of their paths, without the top itself.

    exclude: globs of paths to leave out (rootfs/archives/globs.py).
    Hard links count only within a layer: between layers they depend on how the files are stored.
    Raises BuildError for an unreadable layer, a socket, or a directory in place of a file.
    """
    left_out = compiled(exclude)
    merged: dict[str, Entry] = {}
    for number, layer in enumerate(layers):
        for entry in _walk(layer, number, left_out):
            check_replacement(entry, merged.get(entry.path))
            merged[entry.path] = entry
    return _with_links(sorted(merged.values(), key=lambda entry: os.fsencode(entry.path)))


def files_in(layer: Path, exclude: Sequence[str] = ()) -> list[str]:
    """The paths in `layer` that are no directories, without the globs `exclude`."""
    entries = merge([layer], exclude=exclude)
    return [entry.path for entry in entries if not stat.S_ISDIR(entry.status.st_mode)]


def check_replacement(new: Entry, old: Entry | None) -> None:
    """Raise BuildError if a directory would replace a file, or a file a directory."""
    if old is None or stat.S_ISDIR(new.status.st_mode) == stat.S_ISDIR(old.status.st_mode):
        return
    kinds = {True: "a directory", False: "not a directory"}
    raise BuildError(
        f"{old.source} is {kinds[stat.S_ISDIR(old.status.st_mode)]}, but "
        f"{new.source}, which would replace it, is {kinds[stat.S_ISDIR(new.status.st_mode)]}",
        where=new.path,
        hint="install one of the two elsewhere, or exclude one of them",
    )


def _walk(top: Path, layer: int, exclude: re.Pattern[bytes] | None) -> Iterator[Entry]:
    """The entries of one layer, each directory before its contents."""
    pending = [""]
    while pending:
        inside = pending.pop()
        try:
            with os.scandir(top / inside) as items:
                found = [(item, item.stat(follow_symlinks=False)) for item in items]
        except OSError as error:
            where = os.fspath(top / inside)
            raise BuildError(f"cannot be read: {error.strerror}", where=where) from error
        for item, status in found:
            path = inside + item.name
            if exclude and exclude.match(os.fsencode(path)):
                continue
            if stat.S_ISSOCK(status.st_mode):
                hint = "remove it: a socket cannot be archived"
                raise BuildError("is a socket", where=item.path, hint=hint)
            yield Entry(path, Path(item.path), status, layer)
            if stat.S_ISDIR(status.st_mode):
                pending.append(path + "/")


def _with_links(entries: list[Entry]) -> list[Entry]:
    """The same entries, with `link` set where an entry is a hard link to an earlier one."""
    first: dict[tuple[int, int, int], str] = {}
    result = []
    for entry in entries:
        status = entry.status
        if status.st_nlink > 1 and stat.S_ISREG(status.st_mode):
            name = first.setdefault((entry.layer, status.st_dev, status.st_ino), entry.path)
            if name != entry.path:
                entry = replace(entry, link=name)
        result.append(entry)
    return result
