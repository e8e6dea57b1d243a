"""Pins the Debian seed, and replaces a pinned package that Debian no longer has.

DebianSeed ──signed index──▶ closure ──▶ Lock ──dump──▶ plan/seeds/debian-<arch>.lock.yaml
pinned, but no URL works ──signed index──▶ Drifts: its successor, and what that needs
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cache.debian import Index, Release, closure, fetch_index
from cache.web import Web
from plan.errors import BuildError
from plan.seeding.debian import Deb, DebianSeed, Lock
from plan.typed import typed


@dataclass(frozen=True)
class Drift:
    """A pinned package that was replaced by its successor, or a package that a successor needs.

    pinned: None for a package that was not in the lock file. by: the successor that needs it.
    """

    name: str
    pinned: Deb | None
    taken: Deb
    by: str = ""

    def __str__(self) -> str:
        if self.pinned is None:
            return f"{self.name}: {self.taken.version} is added, {self.by} needs it now"
        return f"{self.name}: {self.pinned.version} is gone, {self.taken.version} is used instead"


def lock(
    seed: DebianSeed, bases: Sequence[str], *, keyring: Path | None = None, web: Web | None = None
) -> str:
    """The text of the lock file for the `seed`, from the archive's signed index.

    bases: URLs of Debian archives, tried in turn. The same index gives the same text.
    Raises BuildError for a network error, a wrong signature, or a missing package.
    """
    release, index = seed_index(seed, bases, keyring=keyring, web=web)
    return dump(make_lock(seed, release, index))


def seed_index(
    seed: DebianSeed, bases: Sequence[str], *, keyring: Path | None = None, web: Web | None = None
) -> tuple[Release, Index]:
    """The signed index of the suite of `seed`."""
    return fetch_index(
        bases,
        suite=seed.suite,
        component=seed.component,
        architecture=seed.debian_architecture,
        keyring=keyring,
        web=web,
    )


def make_lock(seed: DebianSeed, release: Release, index: Index) -> Lock:
    """Resolve the packages of `seed` in an index."""
    return Lock(seed.suite, release.snapshot, closure(index, seed.wanted, seed.exclude_packages))


def dump(pinned: Lock) -> str:
    """The lock file's text: one line for each package."""
    lines = [
        "# Made by `./bq2 lock` from Debian's signed index. Do not edit: edit debian.yaml.",
        f"suite: {pinned.suite}",
        f"snapshot: {pinned.snapshot} # of snapshot.debian.org, which keeps every version",
        "packages:",
    ]
    for deb in pinned.debs:
        lines.append(
            f'- {{name: {deb.name}, version: "{deb.version}", size: {deb.size}, '
            f"path: {deb.path}, sha256: {deb.sha256}}}"
        )
    return "\n".join(lines) + "\n"


def successor(index: Index, pinned: Deb) -> Deb | None:
    """The package of the same name in the index, or None if it is the same file or missing."""
    package = index.find(pinned.name) if pinned.name in index else None
    return package.deb if package and package.deb.sha256 != pinned.sha256 else None


def replace_missing(
    seed: DebianSeed,
    pinned: Sequence[Deb],
    missing: Collection[str],
    release: Release,
    index: Index,
    *,
    strict: bool = False,
) -> tuple[Drift, ...]:
    """Replace each missing package with its successor, and add what the successors need.

    missing: sha256 of the packages that no URL serves. Raises BuildError if `strict` is set, or if
    the index has no successor.
    """
    gone = [deb for deb in pinned if deb.sha256 in missing]
    if strict and gone:
        raise BuildError(
            "strict=1, and no URL serves " + ", ".join(f"{d.name} {d.version}" for d in gone),
            hint=f"{typed('lock')} pins the current packages; or build without strict=1",
        )
    taken = {deb.name: successor(index, deb) for deb in gone}
    lost = [f"{deb.name} {deb.version}" for deb in gone if taken[deb.name] is None]
    if lost:
        raise BuildError(
            f"no URL serves {', '.join(lost)}, and Debian's index has no newer version",
            hint="check the network, or name a complete Debian archive with mirror=URL",
        )
    drifts = {deb.name: Drift(deb.name, deb, new) for deb in gone if (new := taken[deb.name])}
    have = {deb.name for deb in pinned}
    for name in [*drifts]:
        for deb in closure(index, [name], seed.exclude_packages, have=have - {name}):
            if deb.name not in have | drifts.keys():
                drifts[deb.name] = Drift(deb.name, None, deb, by=name)
    return tuple(
        replace(drift, taken=replace(drift.taken, snapshot=release.snapshot))
        for drift in drifts.values()
    )
