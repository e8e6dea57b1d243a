"""Debian's packages of a seed, as they are pinned, and as they are really used.

    plan/seeds/debian-<arch>.lock.yaml ──drift──▶ debs ──▶ sources to fetch, the seed's identity

Where Debian serves a pinned package no more, its successor is taken, and that is recorded.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterable
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cache.store import Store
from plan import debianseed
from plan.errors import BuildError, nearest
from plan.plan import sha256_of
from rootfs.files import replacing

if TYPE_CHECKING:
    from cache.seedlock import Drift


class Packages:
    """The packages of the seed `debian` for `arch`, or those of them that are named by `only`.

    Raises BuildError if there is no such seed, or no such package in it.
    """

    def __init__(
        self, data: Path, arch: str, store: Store, *, only: Collection[str] | None = None
    ) -> None:
        self.data = data
        lock_file = data / f"debian-{arch}.lock.yaml"
        self.authored = debianseed.load_debian(data / "debian.yaml", arch)
        if not lock_file.exists():
            raise BuildError(
                f"the seed debian is not pinned for {arch} yet",
                where=f"plan/seeds/{lock_file.name}",
                hint=f"doit lock set=base build={arch}",
            )
        self.lock = debianseed.load_lock(lock_file)
        digest = sha256_of([deb.sha256 for deb in self.lock.debs])
        self.drift_file = store.root / "seeds" / f"{digest}.drift.json"
        self.pinned = [deb for deb in self.lock.debs if only is None or deb.name in only]
        names = [deb.name for deb in self.lock.debs]
        for name in only or ():
            if name not in names:
                raise BuildError(
                    f"the package {name} is not in it",
                    where=f"plan/seeds/{lock_file.name}",
                    hint=nearest(name, names),
                )

    @property
    def drift(self) -> list[dict[str, Any]]:
        """What was replaced, each with its `pinned` and its `taken` package."""
        return [self._recorded[deb.name] for deb in self.pinned if deb.name in self._recorded]

    @cached_property
    def _recorded(self) -> dict[str, dict[str, Any]]:
        """By name, for all packages of the lock file.

        A bundle brings its record beside the lock file; what was recorded later goes before.
        """
        known: dict[str, dict[str, Any]] = {}
        for path in (self.data / self.drift_file.name, self.drift_file):
            with contextlib.suppress(OSError, ValueError):
                known |= {each["name"]: each for each in json.loads(path.read_text())}
        return known

    @property
    def debs(self) -> list[debianseed.Deb]:
        """The packages as they are really used."""
        taken = {each["name"]: debianseed.Deb(**each["taken"]) for each in self.drift}
        return [taken.get(deb.name, deb) for deb in self.pinned]

    @property
    def record(self) -> tuple[str, bytes] | None:
        """The file beside the lock file, and its content, that another machine needs to make the
        same seed; None where the lock file says it all."""
        text = json.dumps(self.drift, indent=1).encode()
        return (self.drift_file.name, text) if self.drift else None

    def replace(self, missing: Collection[str], *, mirror: str, strict: bool) -> tuple[Drift, ...]:
        """Take the successors of the packages whose sha256 are `missing`, and record that."""
        from cache.places import known_archives
        from cache.seedlock import replace_missing, seed_index

        urls = [archive.url for archive in known_archives(mirror)]
        _, index = seed_index(self.authored, urls)
        _, drifts = replace_missing(self.debs, missing, index, strict=strict)
        self.keep(drifts)
        return drifts

    def keep(self, drifts: Iterable[Drift]) -> None:
        """Record `drifts` beside what is recorded already, of whichever seed's packages."""
        known = self._recorded | {drift.name: asdict(drift) for drift in drifts}
        with replacing(self.drift_file) as file:
            file.write(json.dumps(list(known.values()), indent=1).encode())
        del self._recorded
