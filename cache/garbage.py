"""Lists the items in the cache and whether they are used. The caller removes unused ones.

    artifacts/<sha256>.tar, trees/<sha256>/   used if a used step names the artifact
    steps/<step id>.json                      used if the step is used
    contradicted/<step id>.json               used if the step is used; so are all its artifacts
    trees/seed-<identity>/                    used if the seed is used
    sources/<sha256>, sources/partial/…       used if the source is used

Files with other names are ignored. An item made or changed within the last hour counts as used: a
run may still be about to record it.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cache.store import Store
from cache.uses import Use

YOUNG = 3600  # seconds

_HASH = r"([0-9a-f]{64})"
# Kind → (directory, pattern of names); the group of the pattern is the key in `Use`. Items are
# removed in this order, so that a record never names a missing artifact.
KINDS: Mapping[str, tuple[str, re.Pattern[str]]] = {
    "contradicted": ("contradicted", re.compile(_HASH + r"\.json")),
    "steps": ("steps", re.compile(_HASH + r"\.json")),
    "trees": ("trees", re.compile(_HASH)),
    "artifacts": ("artifacts", re.compile(_HASH + r"\.tar")),
    "seeds": ("trees", re.compile("seed-" + _HASH)),
    "sources": ("sources", re.compile(_HASH)),
    # With what git and pip had of one when they were killed (cache/git.py, cache/wheels.py).
    "downloads": ("sources/partial", re.compile(_HASH + r"(?:\.git|\.pip)?")),
}


@dataclass(frozen=True)
class Item:
    """One item on disk. size: the bytes that it takes there."""

    kind: str
    path: Path
    size: int
    used: bool


def look(root: Path, use: Use, *, now: float | None = None) -> list[Item]:
    """All items of the cache at `root`, in the order in which they may be removed.

    now: seconds since the epoch; default is the current time.
    """
    moment = time.time() if now is None else now
    contradicted = [found for found in Store(root).contradicted() if found[0].step in use.steps]
    artifacts = {*use.steps.values(), *_young_artifacts(root, moment)}
    artifacts |= {record.artifact for found in contradicted for record in found}
    used: Mapping[str, Collection[str]] = {
        "contradicted": use.steps.keys(),
        "steps": use.steps.keys(),
        "trees": artifacts,
        "artifacts": artifacts,
        "seeds": {*use.seeds},
        "sources": {*use.sources},
        "downloads": {*use.sources},
    }
    items = []
    for kind in KINDS:
        for path, name in _known(root, kind):
            with contextlib.suppress(FileNotFoundError):  # for example a finished download
                is_used = name in used[kind] or is_young(path, moment)
                items.append(Item(kind, path, disk_size(path), is_used))
    return items


def is_young(path: Path, now: float) -> bool:
    """Whether `path` itself was changed, renamed or touched within the last hour."""
    status = path.lstat()
    return now - max(status.st_mtime, status.st_ctime) < YOUNG


def disk_size(path: Path) -> int:
    """The bytes on disk of `path` and all below it; a file with hard links counts once."""
    status = path.lstat()
    size = status.st_blocks * 512
    if path.is_symlink() or not path.is_dir():
        return size
    seen: set[int] = set()
    pending = [os.fspath(path)]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    inner = entry.stat(follow_symlinks=False)
                    if inner.st_ino not in seen:
                        seen.add(inner.st_ino)
                        size += inner.st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
        except OSError:
            continue  # unreadable directories are not counted
    return size


def _known(root: Path, kind: str) -> Iterator[tuple[Path, str]]:
    directory, names = KINDS[kind]
    if (root / directory).is_dir():
        for path in sorted((root / directory).iterdir()):
            if match := names.fullmatch(path.name):
                yield path, match[1]


def _young_artifacts(root: Path, now: float) -> list[str]:
    found = []
    for path, name in _known(root, "artifacts"):
        with contextlib.suppress(FileNotFoundError):
            if is_young(path, now):
                found.append(name)
    return found
