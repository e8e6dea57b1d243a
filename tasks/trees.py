"""Unpacked trees: of artifacts, in the store, and of sources, in the work directory.

Each is unpacked once, when it is needed first, and never written to. Whether somebody did all the
same is looked at once in a run, before the tree is used first: then it is unpacked anew.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from cache.uses import saying
from plan.errors import BuildError
from plan.model import Source, Step
from plan.plan import sha256_of
from rootfs.files import being_made, remove_tree, remove_unfinished, replacing
from tasks.project import Project
from tasks.removal import drop
from tasks.stamps import Stamp

# One lock a tree: two steps may want the same one at the same moment.
_unpacking: dict[Path, threading.Lock] = {}
# Those that were looked at in this run.
_seen: set[Path] = set()


def tree_of(project: Project, step: Step) -> Path:
    """The unpacked artifact of `step`; unpacked now if it was not yet.

    Raises Vanished if the artifact is gone, or damaged.
    """
    from rootfs.archive import unpack
    from rootfs.intact import holds
    from rootfs.pack import stamp_times

    artifact = Stamp(project, step).require()["artifact"]
    tree = project.store.tree(artifact)
    with _unpacking.setdefault(tree, threading.Lock()):
        if tree not in _seen and drop(tree, lambda tree: not holds(tree, artifact)):
            _say_changed(project, tree)
        with saying():
            if not tree.exists():
                project.store.require_intact(artifact, step.name)
                with being_made(tree) as fresh:
                    unpack(project.store.artifact(artifact), fresh)
                    stamp_times(fresh)
                    keep_tree(fresh, tree)
        _seen.add(tree)
    return tree


class Ground:
    """The trees that something is made of: whether they are still those that it began with."""

    def __init__(self, trees: Sequence[Path]) -> None:
        self._inodes = {tree: _inode(tree) for tree in trees}

    def is_lost(self) -> bool:
        """Whether one of them is gone, or another one has its name."""
        return any(_inode(tree) != inode or inode is None for tree, inode in self._inodes.items())


def _inode(tree: Path) -> int | None:
    try:
        return tree.stat().st_ino
    except FileNotFoundError:
        return None


def _say_changed(project: Project, tree: Path) -> None:
    project.events.emit("note", text=f"a tree was changed, it is unpacked anew: {tree}")


def source_tree(project: Project, source: Source) -> Path:
    """Where the unpacked tree of `source` lies or will lie."""
    key = sha256_of([source.sha256, source.leave])[:32]
    return project.workdir / "sources" / f"{source.file.split('.tar')[0]}-{key}"


def listing_file(tree: Path) -> Path:
    """What says how the tree of a source was when it was unpacked."""
    return tree.with_name(f"{tree.name}.listing")


def unpacked(project: Project, source: Source) -> Path:
    """The unpacked tree of `source`, shared by all steps that leave out the same of it."""
    from rootfs.archive import unpack
    from rootfs.intact import listing

    tree = source_tree(project, source)
    list_file = listing_file(tree)
    with _unpacking.setdefault(tree, threading.Lock()):
        if tree not in _seen and tree.exists() and _text(list_file) != sha256_of(listing(tree)):
            _say_changed(project, tree)
            remove_tree(tree)
        if not tree.exists():
            remove_unfinished(tree)
            with being_made(tree) as fresh:
                try:
                    unpack(project.fetched(source), fresh, strip=1, leave=source.leave)
                except BuildError as error:
                    # The cache knows it by its hash alone.
                    where = f"{source.file} ({error.where})"
                    raise BuildError(error.message, where=where, hint=error.hint) from error
                with replacing(list_file) as file:
                    file.write(sha256_of(listing(fresh)).encode())
                keep_tree(fresh, tree)
        _seen.add(tree)
    return tree


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def keep_tree(tree: Path, target: Path) -> None:
    """Rename `tree` to `target`, unless `target` is there or lies on another file system."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        tree.rename(target)
    except OSError:
        remove_tree(tree)
