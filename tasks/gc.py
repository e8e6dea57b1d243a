"""gc: frees unused files in the user's cache and in this work directory.

    the last plans of all checkouts ─┬─ used ─▶ all other files ─▶ freed
    the plan of this checkout ───────┘

In the work directory it frees the builds of packages that are up to date or have no recipe, and
unpacked sources that no recipe uses. A failed build stays, so that a person can look at it, and so
does one with edits that are in no patch.
"""

from __future__ import annotations

import platform
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from cache.garbage import Item, disk_size, look
from cache.uses import Use, recent, removing
from plan.model import PHASES
from plan.reading.wheels import load_wheels
from plan.steps.identity import step_id
from rootfs.archives.files import remove_tree
from tasks.actions import DoitTask, speaking
from tasks.console.console import say
from tasks.engine.builder import Builder
from tasks.engine.project import Project
from tasks.engine.removal import hide
from tasks.engine.sources import all_sources
from tasks.engine.survey import UP_TO_DATE, survey
from tasks.engine.trees import source_tree

# Left in the work directory by a killed run; only one run uses the directory at a time.
_LEFT = re.compile(r"\.\d+\..+")
_UNPACKED = re.compile(r".+-[0-9a-f]{32}(\.part)?")


def task_gc(project: Project) -> DoitTask:
    """free what none of the last plans uses (keep=10); dry=1 only shows it

    gc dry=1                  shows what it would free
    gc keep=1                 keeps only what the last plan uses
    """
    return {"actions": [(speaking(_show if project.settings.dry else _free), [project])]}


def _show(project: Project) -> None:
    use, _ = used(project)
    tell([*look(project.cache, use), *_work(project)])


def _free(project: Project) -> None:
    start = time.monotonic()
    with removing(project.cache):
        use, old_records = used(project)
        items = [*look(project.cache, use), *_work(project)]
        # Rename everything first: other runs wait only shortly, and never see a half-removed
        # tree under its name.
        hidden = [hide(item.path) for item in items if not item.used]
        for record in old_records:
            record.unlink(missing_ok=True)
    tell(items)  # a terminal that stands still must not hold up other runs
    for path in hidden:
        remove_tree(path)
    project.store.sweep()
    kept, unused = _parts(items)
    took = time.monotonic() - start
    say(f"freed {_size(unused)} in {took:.1f} s; {_size(kept)} remain in {project.cache} and here")


def used(project: Project) -> tuple[Use, list[Path]]:
    """What is used, and the records of plans that are too old."""
    use, old_records = recent(project.settings.keep, project.cache)
    use.add(_planned(project))
    return use, old_records


def _planned(project: Project) -> Use:
    """What the plan of this checkout uses, built or not."""
    wheels = load_wheels(project.data / "wheels.yaml", platform.machine())
    sources = {source.sha256 for source in (*all_sources(project), *wheels)}
    use, made = Use({}, sources, {project.seed.identity}), dict[str, str]()
    for step in project.plan.steps:
        inputs = Builder(project, step).inputs(made)
        record = project.store.find(step_id(inputs)) if inputs else None
        if record:
            made[step.task] = use.steps[record.step] = record.artifact
    return use


def _work(project: Project) -> Iterator[Item]:
    """The builds and the unpacked sources in this work directory."""
    from rootfs.sandbox.edits import unsaved

    plan, workdir = project.plan, project.workdir
    standing = {task for task, each in survey(project).items() if each.state == UP_TO_DATE}
    for phase in PHASES:
        for directory in _directories(workdir / "build" / phase):
            left = _LEFT.fullmatch(directory.name)
            if left or (directory / "skeleton").is_dir():  # made by this project
                is_built = f"{phase}:{directory.name}" in standing
                used = unsaved(directory) or (directory.name in plan.recipes and not is_built)
                yield Item("builds", directory, disk_size(directory), used)
    sources = [
        source
        for recipe in plan.recipes.values()
        for place, source in enumerate(recipe.sources)
        if not place or source.into
    ]
    trees = {source_tree(project, source) for source in sources}
    for directory in _directories(workdir / "sources"):
        if _UNPACKED.fullmatch(directory.name):
            yield Item("unpacked", directory, disk_size(directory), directory in trees)


def _directories(parent: Path) -> list[Path]:
    return sorted(path for path in parent.glob("*") if path.is_dir() and not path.is_symlink())


def tell(items: Sequence[Item]) -> None:
    """Print how much of each kind is used and not used."""
    for kind in dict.fromkeys(item.kind for item in items):
        kept, unused = _parts([item for item in items if item.kind == kind])
        say(
            f"{kind:<10} {len(unused):>5} not used {_size(unused):>11}"
            f" {len(kept):>7} used {_size(kept):>11}"
        )
    kept, unused = _parts(items)
    say(
        f"{'all':<10} {len(unused):>5} not used {_size(unused):>11}"
        f" {len(kept):>7} used {_size(kept):>11}"
    )


def _parts(items: Sequence[Item]) -> tuple[list[Item], list[Item]]:
    return [item for item in items if item.used], [item for item in items if not item.used]


def _size(items: Sequence[Item]) -> str:
    return f"{sum(item.size for item in items) / 1e6:.1f} MB"
