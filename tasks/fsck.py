"""fsck: reads the whole cache of the user, and repairs or removes damaged files.

sources    by sha256 ──▶ removed, and fetched again
artifacts  by sha256 ──▶ packed again from their tree, or removed and built again
trees      by packing ──▶ removed, and unpacked again
seeds      by file times ──▶ removed, and made again

Normal runs only check sizes and times, and read what they unpack. So fsck finds disk errors first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from cache.store import Record, parsed
from cache.uses import saying
from plan.errors import BuildError
from rootfs.archives.files import file_sha256, remove_tree
from tasks.actions import DoitTask, speaking
from tasks.console.console import say
from tasks.engine.project import Project
from tasks.engine.removal import drop, is_damaged

_HASH = re.compile(r"[0-9a-f]{64}")


def task_fsck(project: Project) -> DoitTask:
    """read the whole cache; repair or remove damaged files

    fsck
    """
    return {"actions": [(speaking(_fsck), [project])]}


def _fsck(project: Project) -> None:
    project.store.scratch()  # report a read-only cache before the long reading
    damaged = 0
    parts = (_sources, _records, _artifacts, _trees, _seeds)
    for text in (text for part in parts for text in part(project)):
        damaged += 1
        say(text)
    if damaged:
        raise BuildError(
            f"{damaged} damaged, see the list",
            where=str(project.store.root),
            hint="the next build makes removed files again; check the disk",
        )
    say(f"{project.store.root}: no damage found")


def _sources(project: Project) -> Iterator[str]:
    for path in _named(project, "sources", _HASH):
        if drop(path, _is_other, project.cache):
            yield f"sources/{path.name}: removed"


def _records(project: Project) -> Iterator[str]:
    for directory in ("steps", "contradicted"):
        for path in _named(project, directory, re.compile(_HASH.pattern + r"\.json")):
            if drop(path, _is_no_record, project.cache):
                yield f"{directory}/{path.name}: removed"


def _artifacts(project: Project) -> Iterator[str]:
    from rootfs.sandbox.step import pack_tree

    store = project.store
    records = [*store.records(), *(each for found in store.contradicted() for each in found)]
    names = {record.artifact: record.name for record in records}
    for sha256, name in sorted(names.items(), key=lambda each: each[1]):
        path, tree = store.artifact(sha256), store.tree(sha256)
        with saying(project.cache):  # nobody can remove the tree meanwhile
            wanted = is_damaged(path, _is_other) or (tree.exists() and not path.exists())
            repaired = wanted and not is_damaged(tree, _is_changed) and tree.exists()
            if repaired:
                packed = pack_tree(tree, name, store.scratch())
                packed.file.chmod(0o444)
                if path.is_dir():
                    remove_tree(path)
                packed.file.replace(path)
        if repaired:
            yield f"artifacts/{path.name}: {name}, packed again from its tree"
        elif wanted and drop(path, _is_other, project.cache):
            yield f"artifacts/{path.name}: {name}, removed"


def _trees(project: Project) -> Iterator[str]:
    for path in _named(project, "trees", _HASH):
        if drop(path, _is_changed, project.cache):
            yield f"trees/{path.name}: removed"


def _seeds(project: Project) -> Iterator[str]:
    from rootfs.archives.intact import untouched

    for path in _named(project, "trees", re.compile("seed-" + _HASH.pattern)):
        if drop(path, lambda path: not untouched(path), project.cache):
            yield f"trees/{path.name}: removed"


def _named(project: Project, directory: str, names: re.Pattern[str]) -> list[Path]:
    found = (project.store.root / directory).glob("*")
    return sorted(path for path in found if names.fullmatch(path.name))


def _is_other(path: Path) -> bool:
    """Whether the bytes of the source or artifact do not match its name."""
    return not path.is_file() or file_sha256(path) != path.name.removesuffix(".tar")


def _is_no_record(path: Path) -> bool:
    """Whether the record of a step, or the list of several, cannot be read."""
    try:
        found = parsed(path)
        for facts in found if path.parent.name == "contradicted" else [found]:
            Record.of(facts)
    except (OSError, ValueError, TypeError):
        return True
    return False


def _is_changed(tree: Path) -> bool:
    """Whether the tree does not match the artifact in its name."""
    from rootfs.archives.intact import sha256_of_tree

    try:
        return sha256_of_tree(tree) != tree.name
    except BuildError:
        return True  # it is not a tree
