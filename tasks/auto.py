"""seed=auto: Alpine's root where it can be had, else Debian's packages.

    work/seed there? ──yes──▶ the name in it
      └─ no ──▶ Alpine's tarball in the cache, or its server answers? ──▶ alpine, else debian

It is asked once in a work directory, so that what is built there does not change with the network.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from plan.alpineseed import load_alpine
from plan.settings import Settings
from rootfs.files import replacing

AUTO = "auto"
SECONDS = 3  # that the server has to answer in


def settled(settings: Settings, seeds: Path) -> Settings:
    """`settings` with the name of a seed in place of `auto`. seeds: the folder of their files.

    Raises BuildError if the file of the seed is broken, OSError if the choice cannot be kept.
    """
    if settings.seed != AUTO:
        return settings
    kept = settings.workdir / "seed"
    name = kept.read_text().strip() if kept.exists() else ""
    if name not in ("alpine", "debian"):
        name = "alpine" if _alpine(settings, seeds) else "debian"
        settings.workdir.mkdir(parents=True, exist_ok=True)
        with replacing(kept) as file:
            file.write(f"{name}\n".encode())
    origin = f"{settings.origin['seed']}, seed=auto"
    return replace(
        settings,
        values={**settings.values, "seed": name},
        origin={**settings.origin, "seed": origin},
    )


def _alpine(settings: Settings, seeds: Path) -> bool:
    from cache.reach import unreachable
    from cache.sources import cached

    machine = settings.build
    if not (seeds / f"debian-{machine}.lock.yaml").exists() or settings.seed_tarball:
        return True
    source = load_alpine(seeds / "alpine.yaml", machine).source
    if cached(source) or settings.offline:
        return cached(source) is not None
    return len(unreachable(source.places, seconds=SECONDS)) < len(source.places)
