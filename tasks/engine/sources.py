"""The files that a run fetches: their list, and the download into the cache."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from plan.checks import SELF
from plan.errors import BuildError
from plan.model import Source
from plan.outputs import write_file
from plan.reading.folder import FOLDER
from plan.settings.parameters import SEEDS
from tasks.engine.project import Project

if TYPE_CHECKING:
    from cache.progress import Progress


# The tasks for which everything is fetched, and those that need the seed though no step is built.
ALL, OF_SEED = frozenset({"fetch", "bundle"}), frozenset({"seed", "verify"})


def all_sources(project: Project) -> list[Source]:
    """The sources of all steps of the plan, and the packages of the seed."""
    return [*project.plan.sources, *project.seed.sources]


def wanted_sources(project: Project) -> list[Source]:
    """The sources that this run needs: those of the steps that it builds, those in the product, and
    those of a seed that is not unpacked. All sources, if they are asked for.
    """
    plan, wanted = project.plan, project.wanted
    if project.expected is None or project.asked & ALL:
        return all_sources(project)
    steps = [step for step in plan.steps if step.task in project.expected]
    needs_seed = (steps or wanted & OF_SEED) and not project.seed.tree.exists()
    holders = {"sysroot", "oci"}
    if plan.set.root:
        holders |= {"image"} if project.system else {"image", "regenerate"}
        holders |= {"challenge"} if SELF in project.settings.seeds else set()
    if project.settings.sources and wanted & holders:
        steps = plan.steps
    sources = [source for step in steps for source in step.sources]
    return [*dict.fromkeys(sources), *(project.seed.sources if needs_seed else ())]


def seed_files(project: Project) -> list[str]:
    """The authored files that define the seed."""
    name = project.settings.seed
    files = project.data.seeds.glob(f"{name}*.yaml") if name in SEEDS else ()
    return sorted(project.shown(path) for path in files)


def fetched_file(project: Project, name: str) -> str:
    """The file that lists what was fetched for the package `name`, or for "all"."""
    return project.shown(project.workdir / "fetched" / f"{name}.txt")


def write_fetched(project: Project, name: str, sources: Sequence[Source]) -> None:
    """Record that `sources`, those of `name`, are in the cache."""
    lines = [f"{source.sha256}  {source.file}\n" for source in sources]
    write_file(project.root / fetched_file(project, name), "".join(lines))


def say_what_is_used(project: Project) -> None:
    """Record what this run uses, for `doit gc` in all checkouts, before the run needs it."""
    try:
        sources, seed = {source.sha256 for source in all_sources(project)}, project.seed.identity
    except BuildError:
        return  # the task that needs the seed reports the error
    project.uses.begin(project.root, project.plan.digest, sources=sources, seed=seed)


def have(project: Project, sources: Sequence[Source]) -> bool:
    """Whether the cache has all of `sources`."""
    from cache.sources import cached

    return all(cached(source, project.cache) for source in sources)


def fetch_now(project: Project, sources: Sequence[Source], *, verify: bool = False) -> None:
    """Fetch the `sources` that the cache lacks. Raises BuildError that lists every failure.

    verify: also read the cached files, and fetch damaged ones again.
    """
    from cache.progress import Silent, choose
    from cache.sources import FetchFailed, fetch, present
    from cache.web import Web

    settings = project.settings
    shown = Silent() if settings.progress in ("json", "quiet") else choose(sys.stderr)
    for source in sources if verify else ():
        present(source, project.cache, verify=True)
    _keep_folders(project, sources)
    if project.bundle:
        project.bundle.take(sources, _Kept(project, shown))
    try:
        fetch(
            sources,
            offline=settings.offline,
            mirror=settings.mirror or "",
            shared=settings.caches,
            progress=_Kept(project, shown),
            web=Web(headers=settings.headers),
            cache=project.cache,
        )
    except FetchFailed as error:
        from tasks.engine.wrong_pins import remedies

        hints = [*remedies(project, error.others), error.hint]
        error.hint = "\n  ".join(hint for hint in hints if hint)
        raise


def _keep_folders(project: Project, sources: Sequence[Source]) -> None:
    """Put those of `sources` that are folders of this machine into the cache. Raises BuildError."""
    for recipe in project.plan.recipes.values():
        for source in recipe.sources if recipe.folder else ():
            if source in sources and source.urls[0].startswith(FOLDER):
                from cache.folders import keep

                keep(source, Path(recipe.folder), project.cache)


class _Kept:
    """Shows the progress of downloads as `shown` does, and emits an event for each file."""

    def __init__(self, project: Project, shown: Progress) -> None:
        self.events = project.events
        self.begin, self.add, self.note, self.end = shown.begin, shown.add, shown.note, shown.end
        self.shown = shown

    def done(self, file: str, size: int, origin: str) -> None:
        """The file is verified and in the cache."""
        self.shown.done(file, size, origin)
        self.events.emit("fetched", file=file, size=size, place=origin)
