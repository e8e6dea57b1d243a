"""stage: unpacks the sources.

    fetch:<package> ──▶ stage:<package> ──▶ work/sources/<file>-<key>/ and its listing

A build unpacks its own sources; a step from the store needs none. So these tasks are for a person
who wants to read a source, or wants all of them before going offline.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from plan.model import Step
from rootfs.archives.files import remove_tree
from tasks.actions import DoitTask, speaking, up_to_date
from tasks.commands import summary
from tasks.console.console import say
from tasks.engine.project import Project
from tasks.engine.sources import fetched_file
from tasks.engine.trees import is_intact, listing_file, source_trees, unpacked


def task_stage(project: Project) -> Iterator[DoitTask]:
    """unpack the sources of the packages of the set

    stage:zlib                unpacks one source below work/sources
    """
    yield {"basename": "stage", "name": None, "doc": summary(task_stage)}
    for tree, step in source_trees(project).items():
        source = step.sources[0]
        yield {
            "basename": "stage",
            "name": step.name,
            "doc": project.shown(tree),
            "file_dep": [fetched_file(project, step.name)],
            "targets": [project.shown(listing_file(tree))],
            "uptodate": [up_to_date(partial(is_intact, project, source))],
            "actions": [(speaking(_unpack), [project, step])],
            "clean": [(_clean, [project, tree])],
        }


def _clean(project: Project, tree: Path, dryrun: bool) -> None:
    for path in (listing_file(tree), tree):
        if path.exists():
            print(f"removing {project.shown(path)}")
            if not dryrun:
                remove_tree(path)


def _unpack(project: Project, step: Step) -> None:
    say(f"{step.name}: {project.shown(unpacked(project, step.sources[0]))}")
