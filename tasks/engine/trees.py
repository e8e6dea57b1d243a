"""Unpacked trees: of artifacts, in the store, and of sources, in the work directory.

Each is unpacked once, when it is first needed, and must not be changed. A run checks a tree before
its first use: a changed tree is unpacked again.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Sequence
from pathlib import Path

from cache.uses import saying
from plan.errors import BuildError
from plan.model import Source, Step
from plan.outputs import write_file
from plan.steps.plan import sha256_of
from rootfs.archives.files import being_made, remove_tree, remove_unfinished
from rootfs.archives.source import unpack_source
from tasks.engine.project import Project
from tasks.engine.removal import drop
from tasks.engine.stamps import Stamp

# One lock per tree: two steps may need the same tree at once. The locks are global, because all
# projects in the process use the same name for an unfinished tree.
_unpacking: dict[Path, threading.Lock] = {}


def tree_of(project: Project, step: Step) -> Path:
    """The unpacked artifact of `step`; unpacked now if necessary.

    Raises Vanished if the artifact is gone or damaged.
    """
    from rootfs.archives.intact import holds
    from rootfs.archives.pack import stamp_times
    from rootfs.archives.unpack import unpack

    artifact = Stamp(project, step).require().artifact
    tree = project.store.tree(artifact)
    with _unpacking.setdefault(tree, threading.Lock()):
        if tree not in project.trees_seen and drop(
            tree, lambda tree: not holds(tree, artifact), project.cache
        ):
            _say_changed(project, tree)
        with saying(project.cache):
            if not tree.exists():
                project.store.require_intact(artifact, step.name)
                with being_made(tree) as fresh:
                    unpack(project.store.artifact(artifact), fresh)
                    stamp_times(fresh)
                    keep_tree(fresh, tree)
        project.trees_seen.add(tree)
    return tree


class Ground:
    """The trees that a build uses: checks that they are still the ones that it started with."""

    def __init__(self, trees: Sequence[Path]) -> None:
        self._inodes = {tree: _inode(tree) for tree in trees}

    def is_lost(self) -> bool:
        """Whether one of them is gone or was replaced."""
        return any(_inode(tree) != inode or inode is None for tree, inode in self._inodes.items())


def _inode(tree: Path) -> int | None:
    try:
        return tree.stat().st_ino
    except FileNotFoundError:
        return None


def _say_changed(project: Project, tree: Path) -> None:
    project.events.emit("note", text=f"a tree was changed, it is unpacked again: {tree}")


def source_tree(project: Project, source: Source) -> Path:
    """The path of the unpacked tree of `source`; it may not exist yet."""
    key = sha256_of([source.sha256, source.exclude])[:32]
    return project.workdir / "sources" / f"{source.file.split('.tar')[0]}-{key}"


def source_trees(project: Project) -> dict[Path, Step]:
    """Each source tree of the plan, with the first step that reads it."""
    found = dict[Path, Step]()
    for step in project.plan.steps:
        if step.sources:
            found.setdefault(source_tree(project, step.sources[0]), step)
    return found


def listing_file(tree: Path) -> Path:
    """The file that lists a source tree as it was unpacked."""
    return tree.with_name(f"{tree.name}.listing")


def is_intact(project: Project, source: Source) -> bool:
    """Whether `source` is unpacked and its tree is unchanged."""
    from rootfs.archives.intact import listing

    tree = source_tree(project, source)
    return tree.exists() and _text(listing_file(tree)) == sha256_of(listing(tree))


def unpacked(project: Project, source: Source) -> Path:
    """The unpacked tree of `source`, shared by all steps with the same `exclude`."""
    from rootfs.archives.intact import listing

    tree = source_tree(project, source)
    list_file = listing_file(tree)
    with _unpacking.setdefault(tree, threading.Lock()):
        if tree not in project.trees_seen and tree.exists() and not is_intact(project, source):
            _say_changed(project, tree)
            remove_tree(tree)
        if not tree.exists():
            remove_unfinished(tree)
            with being_made(tree) as fresh:
                try:
                    unpack_source(project.fetched(source), source, fresh)
                except BuildError as error:
                    # The path in the cache is only a hash.
                    where = f"{source.file} ({error.where})"
                    raise BuildError(error.message, where=where, hint=error.hint) from error
                write_file(list_file, sha256_of(listing(fresh)))
                keep_tree(fresh, tree)
        project.trees_seen.add(tree)
    return tree


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def keep_tree(tree: Path, target: Path) -> None:
    """Rename `tree` to `target`, or remove it if `target` exists or is on another file system.

    Raises OSError if it cannot be renamed for another reason: the disk is full.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        tree.rename(target)
    except OSError as error:
        remove_tree(tree)
        if error.errno != errno.EXDEV and not target.exists():
            raise
