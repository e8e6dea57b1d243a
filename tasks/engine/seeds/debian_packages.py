"""The Debian packages of a seed, as pinned and as really used.

    plan/seeds/debian-<arch>.lock.yaml ──drift──▶ debs ──▶ sources to fetch, the seed's identity

If Debian no longer serves a pinned package, its successor is used and recorded.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterable
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cache.store import Store
from plan.errors import BuildError, nearest
from plan.outputs import write_file
from plan.reading.data import Directory
from plan.seeding import debian
from plan.steps.plan import sha256_of
from plan.typed import typed
from plan.versions import order

if TYPE_CHECKING:
    from cache.debian import Index, Release
    from cache.seedlock import Drift


class Packages:
    """The packages of the seed `debian` for `arch`; only those in `only`, if given.

    Raises BuildError if there is no such seed, or no such package in it.
    """

    def __init__(
        self, data: Directory, arch: str, store: Store, *, only: Collection[str] | None = None
    ) -> None:
        self.data = data
        lock_file = data / f"debian-{arch}.lock.yaml"
        self.authored = debian.load_debian(data / "debian.yaml", arch)
        if not lock_file.exists():
            raise BuildError(
                f"the seed debian is not pinned for {arch} yet",
                where=f"plan/seeds/{lock_file.name}",
                hint=typed(f"lock set=base build={arch}"),
            )
        self.lock = debian.load_lock(lock_file)
        digest = sha256_of([deb.sha256 for deb in self.lock.debs])
        self.drift_file = store.root / "seeds" / f"{digest}.drift.json"
        self.pinned = [deb for deb in self.lock.debs if only is None or deb.name in only]
        _check(self.authored, self.lock, only or (), where=f"plan/seeds/{lock_file.name}")

    @property
    def drift(self) -> list[dict[str, Any]]:
        """The replaced packages, each with its `pinned` and its `taken` package, and the packages
        that only their successors need, whose `pinned` is None.
        """
        names = {deb.name for deb in self.pinned}
        return [
            each
            for name, each in self._recorded.items()
            if name in names or each.get("by") in names
        ]

    @cached_property
    def _recorded(self) -> dict[str, dict[str, Any]]:
        """The recorded replacements by name, for all packages of the lock file.

        A bundle has its record beside the lock file; a later record wins over it.
        """
        known: dict[str, dict[str, Any]] = {}
        for path in (self.data / self.drift_file.name, self.drift_file):
            with contextlib.suppress(OSError, ValueError):
                known |= {each["name"]: each for each in json.loads(path.read_text())}
        return known

    @property
    def debs(self) -> list[debian.Deb]:
        """The packages as really used, in the order of their names."""
        taken = {each["name"]: debian.Deb(**each["taken"]) for each in self.drift}
        used = {deb.name: deb for deb in self.pinned} | taken
        return [used[name] for name in sorted(used)]

    @property
    def record(self) -> tuple[str, bytes] | None:
        """Name and content of the file beside the lock file that another machine needs to make the
        same seed; None if the lock file is enough.
        """
        text = json.dumps(self.drift, indent=1).encode()
        return (self.drift_file.name, text) if self.drift else None

    def departed(self, mirror: str) -> list[str]:
        """The names of the packages that Debian's index no longer lists as they are used.

        mirror: as in the settings. Raises BuildError if the index cannot be had.
        """
        _, index = self._index(mirror)
        listed = ((deb, index.find(deb.name)) for deb in self.debs)
        return [deb.name for deb, now in listed if not now or now.deb.sha256 != deb.sha256]

    def replace(self, missing: Collection[str], *, mirror: str, strict: bool) -> tuple[Drift, ...]:
        """Use the successors of the packages whose sha256 are `missing`, and record that."""
        from cache.seedlock import replace_missing

        release, index = self._index(mirror)
        drifts = replace_missing(self.authored, self.debs, missing, release, index, strict=strict)
        self.keep(drifts)
        return drifts

    def _index(self, mirror: str) -> tuple[Release, Index]:
        """Debian's signed index of the seed's suite, from the machine's archives."""
        from cache.places import known_archives
        from cache.seedlock import seed_index

        return seed_index(self.authored, [archive.url for archive in known_archives(mirror)])

    def keep(self, drifts: Iterable[Drift]) -> None:
        """Add `drifts` to the record, for any seed's packages."""
        known = dict(self._recorded)
        for drift in drifts:
            by = known.get(drift.name, {}).get("by", "")
            known[drift.name] = asdict(drift) | {"by": drift.by or by}
        write_file(self.drift_file, json.dumps(list(known.values()), indent=1))
        del self._recorded


def _check(
    authored: debian.DebianSeed, lock: debian.Lock, only: Collection[str], *, where: str
) -> None:
    """Raise BuildError if the lock file lacks a package of `only` or of the seed, or an old one."""
    remedy = typed(f"lock build={authored.architecture}") + " pins what Debian serves now"
    pinned = {deb.name: deb.version for deb in lock.debs}
    for name in (*only, *authored.wanted):
        if name not in pinned:
            hint = remedy if name in authored.wanted else nearest(name, pinned)
            raise BuildError(f"the package {name} is not in it", where=where, hint=hint)
    for name, least in authored.least:
        if order(pinned.get(name, least)) < order(least):
            raise BuildError(
                f"{name} {pinned[name]} is too old: the seed needs {least} or newer",
                where=where,
                hint=remedy,
            )
