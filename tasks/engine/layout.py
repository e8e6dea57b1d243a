"""Whether a package fits into the directories of the system, before its artifact is kept.

The first package of a set lays out the directories (plan/sets.yaml). Where it has a link, as
/usr/sbin, another package cannot have a directory.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cache.store import Vanished
from plan.errors import BuildError
from plan.model import Step
from rootfs.archives.tree import Entry, merge
from tasks.engine.project import Project
from tasks.engine.trees import tree_of


def require_fit(project: Project, step: Step, tree: Path) -> None:
    """Raise BuildError if the `tree` of `step` has a directory where the first package of the set
    has a link or a file, or the reverse. If that package is not built, nothing is compared.
    """
    first = project.plan.phases[step.phase].get(project.plan.set.packages[0])
    if first is None or first == step:
        return
    try:
        laid_out = {entry.path: entry for entry in merge([tree_of(project, first)])}
    except Vanished:
        return  # it is not built, or its artifact is gone
    for entry in merge([tree]):
        there = laid_out.get(entry.path)
        if there and _is_directory(there) != _is_directory(entry):
            raise BuildError(
                f"it installs /{entry.path} as {_kind(entry)}, but {first.name} has "
                f"{_kind(there)} there",
                where=f"pkg:{step.name} ({step.phase})",
                hint=_hint(there),
            )


def _is_directory(entry: Entry) -> bool:
    return stat.S_ISDIR(entry.status.st_mode)


def _kind(entry: Entry) -> str:
    if stat.S_ISLNK(entry.status.st_mode):
        return f"a link to {entry.source.readlink()}"
    return "a directory" if _is_directory(entry) else "a file"


def _hint(there: Entry) -> str:
    if not stat.S_ISLNK(there.status.st_mode):
        return "install it elsewhere, or move it with the recipe's `after`"
    real = os.path.normpath(Path("/", there.path).parent / there.source.readlink())
    return f"install into {real}, or move the files there with the recipe's `after`"
