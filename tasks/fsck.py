"""fsck: reads all that the user's cache holds, and repairs or removes what is damaged.

sources    by their sha256 ──▶ removed, and fetched again
artifacts  by their sha256 ──▶ packed anew from their tree, or removed, and built again
trees      packed, likewise ──▶ removed, and unpacked again
seeds      by their times ──▶ removed, and made again

A run looks at sizes and times, and reads what it unpacks. So a disk that forgets shows here first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cache.uses import saying
from plan.errors import BuildError
from rootfs.files import file_sha256
from tasks.console import say, speaking
from tasks.project import project
from tasks.removal import drop, is_damaged

_HASH = re.compile(r"[0-9a-f]{64}")


def task_fsck() -> dict[str, Any]:
    """read all of the cache, and repair or remove what is damaged"""
    return {"actions": [(speaking(_fsck),)]}


def _fsck() -> None:
    project.store.scratch()  # a cache that cannot be written to is told before it is read for long
    damaged = 0
    for text in (*_sources(), *_artifacts(), *_trees(), *_seeds()):
        damaged += 1
        say(text)
    if damaged:
        raise BuildError(
            f"{damaged} damaged, as listed",
            where=str(project.store.root),
            hint="what is removed comes again with the next build; look after the disk",
        )
    say(f"{project.store.root}: all is as it should be")


def _sources() -> Iterator[str]:
    for path in _named("sources", _HASH):
        if drop(path, _is_other):
            yield f"sources/{path.name}: removed"


def _artifacts() -> Iterator[str]:
    from rootfs.step import pack_tree

    store = project.store
    records = [*store.records(), *(each for found in store.contradicted() for each in found)]
    names = {record.artifact: record.name for record in records}
    for sha256, name in sorted(names.items(), key=lambda each: each[1]):
        path, tree = store.artifact(sha256), store.tree(sha256)
        with saying():  # nobody takes the tree away meanwhile
            wanted = is_damaged(path, _is_other) or (tree.exists() and not path.exists())
            repaired = wanted and not is_damaged(tree, _is_changed) and tree.exists()
            if repaired:
                packed = pack_tree(tree, name, store.scratch())
                packed.file.chmod(0o444)
                packed.file.replace(path)
        if repaired:
            yield f"artifacts/{path.name}: {name}, packed anew from its tree"
        elif wanted and drop(path, _is_other):
            yield f"artifacts/{path.name}: {name}, removed"


def _trees() -> Iterator[str]:
    for path in _named("trees", _HASH):
        if drop(path, _is_changed):
            yield f"trees/{path.name}: removed"


def _seeds() -> Iterator[str]:
    from rootfs.intact import untouched

    for path in _named("trees", re.compile("seed-" + _HASH.pattern)):
        if drop(path, lambda path: not untouched(path)):
            yield f"trees/{path.name}: removed"


def _named(folder: str, names: re.Pattern[str]) -> list[Path]:
    found = (project.store.root / folder).glob("*")
    return sorted(path for path in found if names.fullmatch(path.name))


def _is_other(path: Path) -> bool:
    """Whether the source or artifact has other bytes than its name says."""
    return file_sha256(path) != path.name.removesuffix(".tar")


def _is_changed(tree: Path) -> bool:
    """Whether the tree is not that of the artifact whose name it has."""
    from rootfs.intact import sha256_of_tree

    try:
        return sha256_of_tree(tree) != tree.name
    except BuildError:
        return True  # it is not even a tree
