"""gc: free what no plan used lately, in the user's cache and in this work directory.

    the last plans of all checkouts ─┬─ used ─▶ what else is known ─▶ freed
    the plan of this checkout ───────┘

Of the work directory: builds of packages that have no recipe any more or that stand, and unpacked
sources of no recipe. A failed build stays: somebody may want to look at it, or go on with it.
"""

from __future__ import annotations

import platform
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cache import paths
from cache.garbage import Item, disk_size, look
from cache.uses import Use, recent, removing
from plan.model import PHASES
from plan.plan import sha256_of
from plan.wheels import load_wheels
from rootfs.files import remove_tree
from tasks.builder import Builder
from tasks.console import say, speaking
from tasks.outlook import STANDS, survey
from tasks.project import project
from tasks.removal import hide
from tasks.sources import all_sources
from tasks.trees import source_tree

# What a run that was killed left in the work directory, which only one run has at a time.
_LEFT = re.compile(r"\.\d+\..+")
_UNPACKED = re.compile(r".+-[0-9a-f]{32}(\.part)?")


def task_gc() -> dict[str, Any]:
    """free what none of the last plans (keep=10) of any checkout uses; dry=1 only shows it"""
    return {"actions": [(speaking(_show if project.settings.dry else _free),)]}


def _show() -> None:
    use, _ = _used()
    _tell([*look(paths.root(), use), *_work()])


def _free() -> None:
    start = time.monotonic()
    with removing():
        use, old_records = _used()
        items = [*look(paths.root(), use), *_work()]
        _tell(items)
        # Names are taken away at once, so that no run waits for long, and never is there half a
        # tree under its name.
        hidden = [hide(item.path) for item in items if not item.used]
        for record in old_records:
            record.unlink(missing_ok=True)
    for path in hidden:
        remove_tree(path)
    project.store.sweep()
    used, unused = _parts(items)
    took = time.monotonic() - start
    say(f"freed {_size(unused)} in {took:.1f} s; {_size(used)} remain in {paths.root()} and here")


def _used() -> tuple[Use, list[Path]]:
    """What is used, and the records of plans that count no more."""
    use, old_records = recent(project.settings.keep)
    use.add(_planned())
    return use, old_records


def _planned() -> Use:
    """What the plan of this checkout uses, whether it was built or not."""
    wheels = load_wheels(project.data / "wheels.yaml", platform.machine())
    sources = {source.sha256 for source in (*all_sources(), *wheels)}
    use, made = Use({}, sources, {project.seed.identity}), dict[str, str]()
    for step in project.plan.steps:
        inputs = Builder(project, step).inputs(made)
        record = project.store.find(sha256_of(inputs)) if inputs else None
        if record:
            made[step.task] = use.steps[record.step] = record.artifact
    return use


def _work() -> Iterator[Item]:
    """The builds and the unpacked sources in this work directory."""
    plan, workdir = project.plan, project.workdir
    standing = {task for task, each in survey(project).items() if each.state == STANDS}
    for phase in PHASES:
        for folder in _folders(workdir / "build" / phase):
            left = _LEFT.fullmatch(folder.name)
            if left or (folder / "skeleton").is_dir():  # laid out by us
                used = folder.name in plan.recipes and f"{phase}:{folder.name}" not in standing
                yield Item("builds", folder, disk_size(folder), used)
    sources = [source for recipe in plan.recipes.values() for source in recipe.sources[:1]]
    trees = {source_tree(project, source) for source in sources}
    for folder in _folders(workdir / "sources"):
        if _UNPACKED.fullmatch(folder.name):
            yield Item("unpacked", folder, disk_size(folder), folder in trees)


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.glob("*") if path.is_dir() and not path.is_symlink())


def _tell(items: Sequence[Item]) -> None:
    for kind in dict.fromkeys(item.kind for item in items):
        used, unused = _parts([item for item in items if item.kind == kind])
        say(
            f"{kind:<10} {len(unused):>5} not used {_size(unused):>11}"
            f" {len(used):>7} used {_size(used):>11}"
        )
    used, unused = _parts(items)
    say(
        f"{'all':<10} {len(unused):>5} not used {_size(unused):>11}"
        f" {len(used):>7} used {_size(used):>11}"
    )


def _parts(items: Sequence[Item]) -> tuple[list[Item], list[Item]]:
    return [item for item in items if item.used], [item for item in items if not item.used]


def _size(items: Sequence[Item]) -> str:
    return f"{sum(item.size for item in items) / 1e6:.1f} MB"
