"""seed, lock: the first root: its packages, its state, and how it is made.

    plan/seeds/<seed>-<arch>.lock.yaml ──fetch──▶ packages ──unpack──▶ trees/seed-<identity>

A seed has a name, an identity (a hash of its parts) and a tree; a step depends on nothing else of
it. Seeds are in the user's cache, and all checkouts share them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from plan.checks import PINNED_SEEDS
from plan.errors import BuildError
from plan.outputs import write_file
from plan.seeding.debian import load_debian
from tasks.actions import DoitTask, speaking, up_to_date
from tasks.console.console import say
from tasks.engine.chosen_seed import named_seed
from tasks.engine.project import Project
from tasks.engine.removal import drop
from tasks.engine.sources import seed_files

SECONDS = 3  # for a server's answer


def task_seed(project: Project) -> DoitTask:
    """fetch and unpack the seed, the first root with a shell and a compiler

    seed
    """
    return {
        "file_dep": seed_files(project),
        "targets": [project.shown(_made_file(project))],
        "setup": ["fetch"],
        "uptodate": [up_to_date(lambda: _is_made(project))],
        "actions": [(speaking(_make), [project])],
        "clean": [(_clean, [project])],
    }


def _clean(project: Project, dryrun: bool) -> None:
    made = _made_file(project)
    if made.exists():
        print(f"removing {project.shown(made)}; the cache keeps the unpacked seed")
        if not dryrun:
            made.unlink()


def _made_file(project: Project) -> Path:
    """The file that names the last seed that was made."""
    return project.workdir / "seed-made"


def _is_made(project: Project) -> bool:
    made = _made_file(project)
    return (
        made.exists() and made.read_text() == project.seed.identity and project.seed.is_up_to_date()
    )


def task_lock(project: Project) -> DoitTask:
    """pin the packages of the seed debian to Debian's signed index; build=

    lock build=x86_64
    """
    return {"actions": [(speaking(_lock), [project])]}


def _make(project: Project) -> None:
    project.require("fetch")
    seed = project.seed
    if drop(seed.tree, lambda _: not seed.is_up_to_date(), project.cache):
        project.events.emit("note", text=f"the seed was changed, it is made again: {seed.tree}")
    if not seed.tree.exists():
        project.events.emit("note", text=f"unpacking the seed {seed.name}")
        seed.make({source.sha256: project.fetched(source) for source in seed.sources})
    if project.given:
        from tasks.engine.doctor.try_root import require_good

        require_good(project, project.given)
    write_file(_made_file(project), seed.identity)
    project.events.emit("note", text=f"seed {seed.name} {seed.identity[:12]} is ready")


def _lock(project: Project) -> None:
    from cache.places import known_archives
    from cache.seedlock import lock

    settings = project.settings
    seeds, archives = project.data.seeds, known_archives(settings.mirror or "")
    authored = load_debian(seeds / "debian.yaml", settings.build)
    text = lock(authored, [archive.url for archive in archives])
    path = seeds / f"debian-{settings.build}.lock.yaml"
    before = path.read_text() if path.exists() else ""
    write_file(path, text)
    lines = text.splitlines()
    changed = len(set(lines) - set(before.splitlines()))
    say(f"{project.data.shown(path)}: {changed} of {len(lines)} lines changed")


def other_seeds(project: Project, reasons: Mapping[str, Mapping[str, str]]) -> str:
    """After a failed fetch: whether another seed is available now, and why not, as a text; "" if
    the failed files are not the seed's. `reasons`: why each file failed, by sha256.

    A seed is available if the cache has all of it, or if a server of a missing file answers. That a
    package is gone is an answer too: it may have a successor.
    """
    from cache.places import known_archives, resolve, without_password
    from cache.reach import unreachable
    from cache.sources import cached

    settings, archives = project.settings, known_archives(project.settings.mirror or "")
    if not reasons.keys() & {source.sha256 for source in project.seed.sources}:
        return ""
    found = []
    for name in reversed(PINNED_SEEDS):
        if name == settings.seed:
            continue
        with contextlib.suppress(BuildError):
            seed = named_seed(project, name)
            lacking = [source for source in seed.sources if cached(source, project.cache) is None]
            tried = resolve(lacking[0].urls, archives=archives) if lacking else ()
            urls = [each.address for each in tried if each.kind == "url"]
            files = bool(lacking) and not lacking[0].file.endswith(".deb")
            silent = unreachable(urls, seconds=SECONDS, files=files) if urls else {}
            if not lacking:
                found.append(f"seed={name} works now: the cache has all of it")
            elif len(silent) < len(urls):
                found.append(f"seed={name} can be fetched: its server answers")
            elif urls:
                found.append(f"seed={name} cannot be fetched either: {lacking[0].file}")
                found += [f"  {without_password(url)}: {why.reason}" for url, why in silent.items()]
    return "\n  ".join(found)


def follow_drift(project: Project, reasons: Mapping[str, Mapping[str, str]]) -> bool:
    """After a failed fetch: replace seed packages that no URL has by their successors.

    `reasons`: why each file failed, by sha256. Returns whether to try the fetch again.
    Raises BuildError if strict=1 forbids it, or the index has no successor.
    """
    settings, seed = project.settings, project.seed
    if not reasons.keys() <= {deb.sha256 for deb in seed.debs}:
        return False
    for part in seed.packages:
        missing = reasons.keys() & {deb.sha256 for deb in part.debs}
        if not missing:
            continue
        for drift in part.replace(missing, mirror=settings.mirror or "", strict=settings.strict):
            say(f"DRIFT  the seed's {drift}")
    return True
