"""seed, lock: the first root. What it is made of, whether it stands, and making it.

    plan/seeds/<seed>-<arch>.lock.yaml ──fetch──▶ packages ──unpack──▶ trees/seed-<identity>

A seed has a name, an identity (a hash of what it is made of) and a tree; nothing else of it
matters to a step. Seeds are kept in the user's cache, shared by all checkouts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from plan.debianseed import load_debian
from plan.errors import BuildError
from tasks.console import say, speaking, standing
from tasks.debs import Packages
from tasks.project import Project, project
from tasks.removal import drop
from tasks.seeds import AlpineRoot, DebianRoot, PathRoot, Seed, SelfRoot

SECONDS = 3  # that a server has to answer in


def choose_seed(project: Project) -> Seed:
    """The seed that the settings name. Raises BuildError if its data are broken or missing."""
    settings = project.settings
    if settings.seed in ("alpine", "debian"):
        return _strictly(_named(project, settings.seed))
    if project.system:
        return SelfRoot(project.system, project.store)
    assert settings.seed_path
    return PathRoot(settings.seed_path, project.store)


def _named(project: Project, name: str) -> Seed:
    settings, data = project.settings, project.data / "seeds"
    if name == "debian":
        return DebianRoot(data, settings.build, project.store)
    return AlpineRoot(data, settings.build, project.store, settings.seed_tarball)


def _strictly(seed: Seed) -> Seed:
    if seed.drift and project.settings.strict:
        replaced = ", ".join(each["name"] for each in seed.drift)
        raise BuildError(
            f"strict=1, and the seed drifted from its lock file: {replaced}",
            hint="run `doit lock` to pin what Debian serves now, or build without strict=1",
        )
    return seed


def task_seed() -> dict[str, Any]:
    """fetch and unpack the seed, the first root with a shell and a compiler"""
    return {
        "setup": ["fetch"],
        "uptodate": [standing(lambda: project.seed.stands())],
        "actions": [(speaking(_make),)],
    }


def task_lock() -> dict[str, Any]:
    """pin the seed debian (build=): what Debian's signed index has now, with every hash"""
    return {"actions": [(speaking(_lock),)]}


def _make() -> None:
    project.require("fetch")
    seed = project.seed
    if drop(seed.tree, lambda _: not seed.stands()):
        project.events.emit("note", text=f"the seed was changed, it is made anew: {seed.tree}")
    if not seed.tree.exists():
        seed.make({source.sha256: project.fetched(source) for source in seed.sources})
    project.events.emit("note", text=f"seed {seed.name} {seed.identity[:12]} is ready")


def _lock() -> None:
    from cache.places import known_archives
    from cache.seedlock import lock
    from rootfs.files import replacing

    settings = project.settings
    seeds, archives = project.data / "seeds", known_archives(settings.mirror or "")
    authored = load_debian(seeds / "debian.yaml", settings.build)
    text = lock(authored, [archive.url for archive in archives])
    path = seeds / f"debian-{settings.build}.lock.yaml"
    before = path.read_text() if path.exists() else ""
    with replacing(path) as file:
        file.write(text.encode())
    lines = text.splitlines()
    changed = len(set(lines) - set(before.splitlines()))
    say(f"{path.relative_to(settings.root)}: {changed} of {len(lines)} lines changed")


def other_seeds(reasons: Mapping[str, Mapping[str, str]]) -> str:
    """After a failed fetch: which other seed can be had now, as a sentence; "" if none can, or if
    what failed is not of the seed. `reasons`: what could not be had, by sha256.

    A seed that lacks nothing can be had, or one whose first missing file's server answers.
    """
    from cache.places import known_archives, resolve
    from cache.reach import unreachable
    from cache.sources import cached

    settings, archives = project.settings, known_archives(project.settings.mirror or "")
    if not reasons.keys() & {source.sha256 for source in project.seed.sources}:
        return ""
    found = []
    for name in ("debian", "alpine"):
        if name == settings.seed:
            continue
        with contextlib.suppress(BuildError):
            seed = _named(project, name)
            lacking = [source for source in seed.sources if cached(source) is None]
            tried = resolve(lacking[0].places, archives=archives) if lacking else ()
            urls = [each.address for each in tried if each.kind == "url"]
            silent = unreachable(urls, seconds=SECONDS) if urls else {}
            if not lacking:
                found.append(f"seed={name} works now: all of it is in the cache")
            elif len(silent) < len(urls):
                found.append(f"seed={name} can be fetched: its server answers")
    return "; ".join(found)


def follow_drift(reasons: Mapping[str, Mapping[str, str]]) -> bool:
    """After a failed fetch: replace the seed's packages that no place serves by their successors.

    `reasons`: what could not be had, by sha256. Returns whether the fetch can be tried again.
    Raises BuildError if strict=1 forbids it, or the index has no successor.
    """
    packages: Packages | None = project.seed.packages
    if not packages or not reasons.keys() <= {deb.sha256 for deb in packages.debs}:
        return False
    settings = project.settings
    for drift in packages.replace(
        set(reasons), mirror=settings.mirror or "", strict=settings.strict
    ):
        say(f"DRIFT  the seed's {drift}")
    return True
