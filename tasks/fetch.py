"""fetch: downloads every source into the user's cache and verifies it.

fetch            all missing sources of the set and the seed, in parallel
fetch:<package>  the sources of one package
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from doit.task import Task, clean_targets

from plan.errors import BuildError
from plan.model import Source, Step
from tasks.actions import speaking, up_to_date
from tasks.console.console import say
from tasks.engine.plan_files import write_plan
from tasks.engine.project import Project
from tasks.engine.sources import (
    all_sources,
    fetch_now,
    fetched_file,
    have,
    say_what_is_used,
    seed_files,
    wanted_sources,
    write_fetched,
)
from tasks.seed import follow_drift, other_seeds


def task_fetch(project: Project) -> Iterator[Task]:
    """fetch all sources of the set and the packages of the seed

    fetch                     afterwards builds need no network
    fetch:zlib                the sources of one package
    """
    owners = {step.name: step for step in project.plan.steps if step.sources}
    yield Task(
        "fetch",
        [(speaking(_fetch_all), [project])],
        file_dep=[*(_recipe(project, name) for name in owners), *seed_files(project)],
        targets=[fetched_file(project, "all")],
        uptodate=[up_to_date(lambda: have(project, all_sources(project)))],
        clean=[clean_targets],
        doc="fetch all sources of the set and the packages of the seed",
    )
    for step in owners.values():
        yield Task(
            f"fetch:{step.name}",
            [(speaking(_fetch), [project, step])],
            file_dep=[_recipe(project, step.name)],
            targets=[fetched_file(project, step.name)],
            uptodate=[partial(have, project, step.sources)],
            clean=[clean_targets],
            doc=", ".join(source.file for source in step.sources),
            subtask_of="fetch",
        )


def _recipe(project: Project, name: str) -> str:
    return project.shown(project.data.file_of(name))


def _fetch(project: Project, step: Step) -> None:
    _fetch_missing(project, f"fetch:{step.name}", step.sources)
    write_fetched(project, step.name, step.sources)


def _fetch_missing(project: Project, task: str, sources: Sequence[Source]) -> None:
    if task in project.asked and have(project, sources):
        say(f"{task} is up to date")
    fetch_now(project, sources)


def _fetch_all(project: Project) -> None:
    from cache.sources import FetchFailed

    sources = wanted_sources(project)
    if sources and "fetch" not in project.asked:
        project.overlay  # noqa: B018  what cannot be built here needs no download
    try:
        _fetch_missing(project, "fetch", sources)
        _write_all(project)
    except FetchFailed as error:
        hints = [error.hint]
        try:
            followed = error.answered and follow_drift(project, error.reasons)
        except BuildError as refused:
            followed = False
            hints += [refused.message, refused.hint]
        if not followed:
            hints.append(other_seeds(project, error.reasons))
            error.hint = "\n  ".join(hint for hint in hints if hint)
            raise
        say_what_is_used(project)
        fetch_now(project, wanted_sources(project))
        _write_all(project)
        write_plan(project)  # it contains the seed as it is used


def _write_all(project: Project) -> None:
    """Record that all sources are in the cache, if they are."""
    sources = all_sources(project)
    if have(project, sources):
        write_fetched(project, "all", sources)
    else:
        (project.root / fetched_file(project, "all")).unlink(missing_ok=True)
