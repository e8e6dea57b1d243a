"""seed=auto: Alpine's root if it is available, else Debian's packages.

    work/seed there? ──yes──▶ the name in it
      └─ no ──▶ Alpine's tarball in the cache, or its server answers? ──▶ alpine, else debian

The first run that builds in a work directory stores the choice. So later runs use the same seed,
even if the network changes.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cache.partial import disk_error
from plan.outputs import write_file
from plan.settings import Settings

AUTO = "auto"
SECONDS = 3  # for the server's answer


def settled(settings: Settings, cache: Path) -> Settings:
    """`settings` with the name of a seed instead of `auto`. cache: it may have a seed.

    Nothing is written. Raises BuildError if the seed's file is invalid.
    """
    if settings.seed != AUTO:
        return settings
    name = _kept(settings) or ("alpine" if _alpine(settings, cache) else "debian")
    origin = f"{settings.origin['seed']}, seed=auto"
    return replace(
        settings,
        values={**settings.values, "seed": name},
        origin={**settings.origin, "seed": origin},
    )


def keep_choice(settings: Settings) -> None:
    """Store the chosen seed for this work directory, if one was chosen. `settings`: the result of
    `settled`. Raises BuildError if it cannot be written.
    """
    if not settings.origin["seed"].endswith("seed=auto") or _kept(settings) == settings.seed:
        return
    try:
        write_file(_file(settings), f"{settings.seed}\n")
    except OSError as error:
        raise disk_error(error, _file(settings)) from error


def _file(settings: Settings) -> Path:
    return settings.workdir / "seed"


def _kept(settings: Settings) -> str | None:
    """The seed that an earlier run chose in this work directory, or None."""
    try:
        name = _file(settings).read_text().strip()
    except (OSError, ValueError):
        return None
    return name if name in ("alpine", "debian") else None


def _alpine(settings: Settings, cache: Path) -> bool:
    from cache.reach import unreachable
    from cache.sources import cached
    from plan.alpineseed import load_alpine

    machine, seeds = settings.build, settings.root / "plan" / "seeds"
    if not (seeds / f"debian-{machine}.lock.yaml").exists() or settings.seed_tarball:
        return True
    source = load_alpine(seeds / "alpine.yaml", machine).source
    if cached(source, cache) or settings.offline:
        return cached(source, cache) is not None
    return len(unreachable(source.urls, seconds=SECONDS)) < len(source.urls)
