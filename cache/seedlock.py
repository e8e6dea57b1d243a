"""Pins the Debian seed, and follows Debian where a pinned package is gone.

DebianSeed ──signed index──▶ closure ──▶ Lock ──dump──▶ plan/seeds/debian-<arch>.lock.yaml
pinned, but served nowhere ──signed index──▶ its successor, and a Drift that says so
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from cache.debian import Index, Release, closure, fetch_index
from cache.web import Web
from plan.debianseed import Deb, DebianSeed, Lock
from plan.errors import BuildError

# snapshot.debian.org takes the archive in some hours after a release is dated, and answers a
# moment that it has not with what it had before: a day later it has this release for certain.
_SNAPSHOT_LAG = timedelta(days=1)


@dataclass(frozen=True)
class Drift:
    """A pinned package that was replaced by its successor."""

    name: str
    pinned: Deb
    taken: Deb

    def __str__(self) -> str:
        return f"{self.name}: {self.pinned.version} is gone, {self.taken.version} taken instead"


def lock(
    seed: DebianSeed, bases: Sequence[str], *, keyring: Path | None = None, web: Web | None = None
) -> str:
    """The text of the lock file for the authored `seed`, from the archive's signed index.

    bases: URLs of Debian archives, tried in turn. The same index gives the same text.
    Raises BuildError: network, signature, a package that is not there.
    """
    release, index = seed_index(seed, bases, keyring=keyring, web=web)
    return dump(make_lock(seed, release, index))


def seed_index(
    seed: DebianSeed, bases: Sequence[str], *, keyring: Path | None = None, web: Web | None = None
) -> tuple[Release, Index]:
    """The signed index that `seed` is taken from."""
    return fetch_index(
        bases,
        suite=seed.suite,
        component=seed.component,
        architecture=seed.debian_architecture,
        keyring=keyring,
        web=web,
    )


def make_lock(seed: DebianSeed, release: Release, index: Index) -> Lock:
    """Resolve what `seed` wants against an index."""
    snapshot = (release.date + _SNAPSHOT_LAG).strftime("%Y%m%dT%H%M%SZ")
    return Lock(seed.suite, snapshot, closure(index, seed.wanted, seed.exclude))


def dump(pinned: Lock) -> str:
    """The lock file's text: one line for each package."""
    lines = [
        "# Made by `doit lock` from Debian's signed index: do not edit, edit the file beside it.",
        f"suite: {pinned.suite}",
        f"snapshot: {pinned.snapshot} # of snapshot.debian.org, where none of this is ever lost",
        "packages:",
    ]
    for deb in pinned.debs:
        lines.append(
            f'- {{name: {deb.name}, version: "{deb.version}", size: {deb.size}, '
            f"path: {deb.path}, sha256: {deb.sha256}}}"
        )
    return "\n".join(lines) + "\n"


def successor(index: Index, pinned: Deb) -> Deb | None:
    """What the index has under the same name, unless it is the very same file."""
    package = index.find(pinned.name) if pinned.name in index else None
    return package.deb if package and package.deb.sha256 != pinned.sha256 else None


def replace_missing(
    pinned: Sequence[Deb], missing: Collection[str], index: Index, *, strict: bool = False
) -> tuple[tuple[Deb, ...], tuple[Drift, ...]]:
    """The packages with each missing one replaced by its successor, and what was replaced.

    missing: sha256 of the packages that no place serves. Raises BuildError: `strict`, or no
    successor is in the index.
    """
    gone = [deb for deb in pinned if deb.sha256 in missing]
    if strict and gone:
        raise BuildError(
            "strict=1, and no place serves " + ", ".join(f"{d.name} {d.version}" for d in gone),
            hint="run `doit lock` to pin what Debian serves now, or build without strict=1",
        )
    taken = {deb.name: successor(index, deb) for deb in gone}
    lost = [f"{deb.name} {deb.version}" for deb in gone if taken[deb.name] is None]
    if lost:
        raise BuildError(
            f"no place serves {', '.join(lost)}, and Debian's index has no successor",
            hint="check the network, or give a complete Debian archive with mirror=URL",
        )
    drifts = tuple(Drift(deb.name, deb, new) for deb in gone if (new := taken[deb.name]))
    return tuple(taken.get(deb.name) or deb for deb in pinned), drifts
