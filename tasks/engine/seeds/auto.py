"""seed=auto, the default: Alpine's root if it can be had, else Debian's packages.

    work/seed there? ──yes──▶ the name in it
      └─ no ──▶ the work directory has Debian's tree? ──▶ debian
          └─ no ──▶ Alpine's tarball is given, cached, or its server has it? ──▶ alpine, else debian

The first run that builds in a work directory stores the choice, and says it. So later runs use the
same seed, even if the network changes, and ask no server.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from cache.partial import disk_error
from plan.checks import ALPINE, AUTO, DEBIAN, PINNED_SEEDS
from plan.errors import BuildError
from plan.model import Source
from plan.outputs import write_file
from plan.settings.settings import Settings

SECONDS = 3  # for the server's answer


@dataclass(frozen=True)
class Choice:
    """A seed that seed=auto chose: its name, and why."""

    name: str
    why: str

    def __str__(self) -> str:
        other = DEBIAN if self.name == ALPINE else ALPINE
        return (
            f"seed={self.name} is used in this work directory from now on: {self.why}\n"
            f"  seed={other} uses the other one"
        )


def settled(
    settings: Settings, cache: Path, *, asks: bool = True
) -> tuple[Settings, Choice | None]:
    """`settings` with the name of a seed instead of `auto`; and the choice, if it is a new one.

    cache: it may have a seed. asks: whether a server may be asked; without it the seed is the one
    that the next build finds without a network. Nothing is written.
    Raises BuildError if the seed's file is invalid.
    """
    if settings.seed != AUTO:
        return settings, None
    before = kept(settings)
    choice = None if before else _chosen(settings, cache, asks)
    _require_root_of(choice.name if choice else before, settings)
    chosen = replace(
        settings,
        values={**settings.values, "seed": before or (choice.name if choice else "")},
        origin={**settings.origin, "seed": f"{settings.origin['seed']}, seed=auto"},
    )
    return chosen, choice


def keep_choice(settings: Settings, choice: Choice) -> None:
    """Store the chosen seed for this work directory. Raises BuildError if it cannot be written."""
    file = _file(settings)
    try:
        write_file(file, f"{choice.name}\n")
    except OSError as error:
        raise disk_error(error, file) from error


def _file(settings: Settings) -> Path:
    return settings.workdir / "seed"


def kept(settings: Settings) -> str | None:
    """The seed that an earlier run chose in this work directory, or None."""
    try:
        name = _file(settings).read_text().strip()
    except (OSError, ValueError):
        return None
    return name if name in PINNED_SEEDS else None


def _require_root_of(seed: str | None, settings: Settings) -> None:
    """Raise BuildError if the command line chooses Alpine's root, and `seed` is another seed."""
    lost = [
        name
        for name in ("seed_tarball", "seed_release")
        if settings.values[name] and settings.origin[name] == "command line"
    ]
    if seed != ALPINE and lost:
        raise BuildError(
            f"{lost[0]}= has no effect: this work directory uses seed={seed}",
            where="command line",
            hint=f"add seed={ALPINE}",
        )


def _chosen(settings: Settings, cache: Path, asks: bool) -> Choice:
    from plan.seeding.alpine import load_alpine

    seeds = settings.data.seeds
    if not (seeds / f"debian-{settings.build}.lock.yaml").exists():
        return Choice(ALPINE, f"Debian's packages are not pinned for {settings.build}")
    if settings.seed_tarball:
        return Choice(ALPINE, "seed_tarball= gives its root")
    if used := _used_before(settings):
        return Choice(used, "what this work directory has was built from it")
    source = load_alpine(seeds / "alpine.yaml", settings.build, settings.seed_release).source
    lacking = _lacking(source, settings, cache, asks)
    if not lacking:
        return Choice(ALPINE, f"{source.file} can be had")
    return Choice(DEBIAN, f"Alpine's root cannot be had: {lacking}")


def _used_before(settings: Settings) -> str | None:
    """The seed of a work directory that is older than its file `seed`."""
    try:
        plan = json.loads((settings.workdir / "plan.json").read_text())
        name = str(plan["seed"]["name"]).partition("-")[0]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return name if name in PINNED_SEEDS else None


def _lacking(source: Source, settings: Settings, cache: Path, asks: bool) -> str:
    """Why the file of `source` cannot be had, place by place; "" if it can."""
    from cache.bundle import Bundle
    from cache.reach import unreachable
    from cache.sources import cached

    if settings.bundle:
        return "" if Bundle(settings.bundle, cache).has(source) else "the bundle does not have it"
    if cached(source, cache):
        return ""
    if settings.offline or not asks:
        return f"the cache does not have {source.file}, and no server is asked"
    silent = unreachable(source.urls, seconds=SECONDS, files=True)
    if len(silent) < len(source.urls):
        return ""
    places = [f"{url}: {why.reason}" for url, why in silent.items()]
    return "\n  ".join([f"the cache does not have {source.file}", *places])
