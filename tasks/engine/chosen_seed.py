"""The seed of a run: the one that its settings name; tasks/engine/seeds/roots.py has the kinds."""

from __future__ import annotations

from plan.checks import DEBIAN, PINNED_SEEDS
from plan.errors import BuildError
from plan.typed import typed
from tasks.engine.project import Project
from tasks.engine.seeds.roots import AlpineRoot, CompletedRoot, DebianRoot, PathRoot, Seed, SelfRoot


def choose_seed(project: Project) -> Seed:
    """The seed that the settings name. Raises BuildError if its data are invalid or missing."""
    settings = project.settings
    if settings.seed in PINNED_SEEDS:
        return _strictly(project, named_seed(project, settings.seed))
    if project.system:
        return SelfRoot(project.system, project.store)
    from tasks.engine.seeds.given import content_of

    assert settings.seed_path
    path, given, store = settings.seed_path, project.given, project.store
    content = given.content if given else content_of(path)
    if given and given.added:
        return CompletedRoot(path.name, project.data.seeds, store, given.added, (path, content))
    return PathRoot(path, store, content)


def named_seed(project: Project, name: str) -> Seed:
    """The seed `name`, one of PINNED_SEEDS, even if the settings name another one."""
    settings, data = project.settings, project.data.seeds
    if name == DEBIAN:
        return DebianRoot(data, settings.build, project.store)
    tarball, release = settings.seed_tarball, settings.seed_release
    return AlpineRoot(data, settings.build, project.store, tarball, release)


def _strictly(project: Project, seed: Seed) -> Seed:
    if seed.drift and project.settings.strict:
        replaced = ", ".join(each["name"] for each in seed.drift)
        raise BuildError(
            f"strict=1, and the seed differs from its lock file: {replaced}",
            hint=f"{typed('lock')} pins what Debian serves now; or build without strict=1",
        )
    return seed
