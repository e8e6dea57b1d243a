"""fetch: bring every source into the user's cache, verified.

fetch            all that the set and the seed need and the cache lacks, in parallel
fetch:<package>  the sources of one package
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from doit.task import Task

from cache.sources import cached
from plan.errors import BuildError
from plan.model import Source
from tasks.console import speaking, standing
from tasks.project import ROOT, project
from tasks.seed import follow_drift, other_seeds

if TYPE_CHECKING:
    from cache.progress import Progress


def task_fetch() -> Iterator[Task]:
    """fetch all sources of the set, and the seed's packages"""
    yield Task(
        "fetch",
        [(speaking(_fetch_all),)],
        uptodate=[standing(lambda: _have(all_sources()))],
        doc="fetch all sources of the set, and the seed's packages",
    )
    owners = {step.name: step for step in project.plan.steps if step.sources}
    for step in owners.values():
        yield Task(
            f"fetch:{step.name}",
            [(speaking(fetch_now), [step.sources])],
            uptodate=[partial(_have, step.sources)],
            doc=", ".join(source.file for source in step.sources),
            subtask_of="fetch",
        )


def all_sources() -> list[Source]:
    """The sources of all steps of the plan, and the packages of the seed."""
    return [*project.plan.sources, *project.seed.sources]


def say_what_is_used() -> None:
    """Tell `doit gc` of all checkouts what this run uses, before it looks for any of it."""
    try:
        sources, seed = {source.sha256 for source in all_sources()}, project.seed.identity
    except BuildError:
        return  # a seed that cannot be had is told by the task that needs it
    project.uses.begin(ROOT, project.plan.digest, sources=sources, seed=seed)


def _have(sources: Sequence[Source]) -> bool:
    return all(cached(source) for source in sources)


def _fetch_all() -> None:
    from cache.sources import FetchFailed

    try:
        fetch_now(all_sources())
    except FetchFailed as error:
        hints = [error.hint]
        try:
            followed = follow_drift(error.reasons)
        except BuildError as refused:
            followed = False
            hints += [refused.message, refused.hint]
        if not followed:
            hints.append(other_seeds(error.reasons))
            error.hint = "\n  ".join(hint for hint in hints if hint)
            raise
        say_what_is_used()
        fetch_now(all_sources())


def fetch_now(sources: Sequence[Source], *, verify: bool = False) -> None:
    """Fetch what the cache lacks of `sources`. Raises BuildError that lists every failure.

    verify: read what the cache has, and fetch again what is damaged.
    """
    from cache.progress import Silent, choose
    from cache.sources import fetch, present

    settings = project.settings
    shown = Silent() if settings.progress in ("json", "quiet") else choose(sys.stderr)
    for source in sources if verify else ():
        present(source, verify=True)
    if project.bundle:
        project.bundle.take(sources, _Kept(shown))
    fetch(
        sources,
        offline=settings.offline,
        mirror=settings.mirror or "",
        snapshot=project.seed.snapshot,
        progress=_Kept(shown),
    )


class _Kept:
    """Shows the course of fetching as `shown` does, and keeps each file as an event."""

    def __init__(self, shown: Progress) -> None:
        self.begin, self.add, self.note, self.end = shown.begin, shown.add, shown.note, shown.end
        self.shown = shown

    def done(self, file: str, size: int, place: str) -> None:
        """The file has been verified and kept."""
        self.shown.done(file, size, place)
        project.events.emit("fetched", file=file, size=size, place=place)
