"""Directory trees put on top of each other, as one sorted list of entries.

Guarantees: the same layers give the same list, whatever the order in which the files were
made, the locale, the user or the file system. Nothing is copied. A later layer wins, and
directories merge, as with overlayfs; but where one layer has a directory and another has
none, nothing is hidden silently: that is an error that names both.

    layers ──walk, leave──> entries by path ──later wins──> sorted, hard links named
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from plan.errors import BuildError
from rootfs.globs import compiled


@dataclass(frozen=True)
class Entry:
    """One file, directory, link or node of the merged tree.

    path: relative to the top, without a leading slash; `os.fsencode` gives its exact bytes.
    source: where it lies on this machine. status: its lstat. layer: number of its layer.
    link: the path of an earlier entry that is the same regular file (a hard link), or None.
    """

    path: str
    source: Path
    status: os.stat_result
    layer: int
    link: str | None = None


def merge(layers: Sequence[Path], *, leave: Sequence[str] = ()) -> list[Entry]:
    """The entries of all layers, sorted by the bytes of their paths; the top itself is not one.

    leave: globs of paths to leave out. `*` stays within a name, `**` stands for any number of
    directories, and what matches a directory drops all below it.
    Hard links count within a layer only: between layers they are an accident of storage.
    Raises BuildError: a layer that cannot be read, a socket, a directory against a file.
    """
    left_out = compiled(leave)
    merged: dict[str, Entry] = {}
    for number, layer in enumerate(layers):
        for entry in _walk(layer, number, left_out):
            check_replacement(entry, merged.get(entry.path))
            merged[entry.path] = entry
    return _with_links(sorted(merged.values(), key=lambda entry: os.fsencode(entry.path)))


def check_replacement(new: Entry, old: Entry | None) -> None:
    """Raise BuildError when a directory would replace something else, or the reverse."""
    if old is None or stat.S_ISDIR(new.status.st_mode) == stat.S_ISDIR(old.status.st_mode):
        return
    kinds = {True: "a directory", False: "not a directory"}
    raise BuildError(
        f"{old.source} is {kinds[stat.S_ISDIR(old.status.st_mode)]}, but "
        f"{new.source}, which would replace it, is {kinds[stat.S_ISDIR(new.status.st_mode)]}",
        where=new.path,
        hint="change where one of the two is installed, or leave one of them out",
    )


def _walk(top: Path, layer: int, leave: re.Pattern[bytes] | None) -> Iterator[Entry]:
    """The entries of one layer, a directory before what is in it."""
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
            if leave and leave.match(os.fsencode(path)):
                continue
            if stat.S_ISSOCK(status.st_mode):
                hint = "remove it: a socket cannot be archived"
                raise BuildError("is a socket", where=item.path, hint=hint)
            yield Entry(path, Path(item.path), status, layer)
            if stat.S_ISDIR(status.st_mode):
                pending.append(path + "/")


def _with_links(entries: list[Entry]) -> list[Entry]:
    """The same entries, those that are another name of an earlier one marked as such."""
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
