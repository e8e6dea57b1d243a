"""Unpacked trees: of artifacts, in the store, and of sources, in the work directory.

Each is unpacked once, when it is needed first, and never written to.
"""

from __future__ import annotations

import threading
from pathlib import Path

from plan.errors import BuildError
from plan.model import Source, Step
from plan.plan import sha256_of
from rootfs.files import fresh_folder, remove_tree, unfinished
from tasks.project import Project
from tasks.stamps import Stamp

# One lock a tree: two steps may want the same one at the same moment.
_unpacking: dict[Path, threading.Lock] = {}


def tree_of(project: Project, step: Step) -> Path:
    """The unpacked artifact of `step`; unpacked now if it was not yet."""
    from rootfs.archive import unpack

    stamp = Stamp(project, step).read()
    assert stamp, "doit runs a task after its dependencies"
    artifact = stamp["artifact"]
    tree = project.store.tree(artifact)
    with _unpacking.setdefault(tree, threading.Lock()):
        if not tree.exists():
            project.store.require_intact(artifact, step.name)
            fresh = fresh_folder(unfinished(tree))
            unpack(project.store.artifact(artifact), fresh)
            keep_tree(fresh, tree)
    return tree


def source_tree(project: Project, source: Source) -> Path:
    """Where the unpacked tree of `source` lies or will lie."""
    key = sha256_of([source.sha256, source.leave])[:32]
    return project.workdir / "sources" / f"{source.file.split('.tar')[0]}-{key}"


def unpacked(project: Project, source: Source) -> Path:
    """The unpacked tree of `source`, shared by all steps that leave out the same of it."""
    from rootfs.archive import unpack

    tree = source_tree(project, source)
    with _unpacking.setdefault(tree, threading.Lock()):
        if not tree.exists():
            # One run a work directory: the same name again, so that a killed one leaves no second.
            fresh = fresh_folder(tree.with_name(f".{tree.name}.part"))
            try:
                unpack(project.fetched(source), fresh, strip=1, leave=source.leave)
            except BuildError as error:
                # The cache knows it by its hash alone.
                where = f"{source.file} ({error.where})"
                raise BuildError(error.message, where=where, hint=error.hint) from error
            keep_tree(fresh, tree)
    return tree


def keep_tree(tree: Path, target: Path) -> None:
    """Rename `tree` to `target`, unless `target` is there or lies on another file system."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        tree.rename(target)
    except OSError:
        remove_tree(tree)
