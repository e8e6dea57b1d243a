"""The kinds of seed: Debian's packages, Alpine's tarball, what this runs in, what the user names.

what it is made of ──hash──▶ identity ──▶ trees/seed-<identity>
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from cache.store import Store
from plan import debianseed
from plan.alpineseed import load_alpine
from plan.errors import BuildError
from plan.model import Source
from plan.plan import sha256_of
from rootfs.files import being_made, file_sha256
from rootfs.workspace import WORKSPACE
from tasks.debs import Packages
from tasks.system import System, described

# Raise it when the same inputs are unpacked to a different tree.
FORMAT = 1


class Seed(ABC):
    """What a build needs to know of its first root."""

    def __init__(self, name: str, store: Store) -> None:
        self.name, self.store = name, store

    packages: Packages | None = None
    """The packages of Debian that are in it."""

    @property
    def snapshot(self) -> str:
        """The moment at which snapshot.debian.org holds all that the project uses."""
        return self.packages.lock.snapshot if self.packages else ""

    @property
    def drift(self) -> list[dict[str, Any]]:
        """Those of its packages that Debian serves no more, with what was taken for them."""
        return self.packages.drift if self.packages else []

    @property
    def sources(self) -> Sequence[Source]:
        """What has to be fetched to make it."""
        return ()

    @property
    @abstractmethod
    def identity(self) -> str:
        """The sha256 that names its content."""

    @property
    def tree(self) -> Path:
        """Where the unpacked root lies or will lie."""
        return self.store.root / "trees" / f"seed-{self.identity}"

    def describe(self) -> dict[str, Any]:
        """What plan.json says of it."""
        packages = {"snapshot": self.snapshot, "drift": self.drift} if self.packages else {}
        return {"name": self.name, "identity": self.identity, **packages}

    def stands(self) -> bool:
        """Whether its tree is there, and nobody wrote to it since."""
        from rootfs.intact import untouched

        return self.tree.exists() and untouched(self.tree)

    def make(self, fetched: Mapping[str, Path]) -> None:
        """Unpack it. `fetched`: the files of `sources`, by sha256. Raises BuildError."""
        with being_made(self.tree) as fresh:
            self.unpack(fetched, fresh)
            try:
                fresh.rename(self.tree)
            except OSError:
                # Another checkout was faster.
                if not self.tree.exists():
                    raise

    @abstractmethod
    def unpack(self, fetched: Mapping[str, Path], into: Path) -> None:
        """Unpack it into the empty folder `into`."""


class DebianRoot(Seed):
    """Debian packages by their lock file, and where Debian moved on, by the recorded drift."""

    def __init__(self, data: Path, arch: str, store: Store) -> None:
        super().__init__(f"debian-{arch}", store)
        self.packages: Packages = Packages(data, arch, store)

    @property
    def sources(self) -> Sequence[Source]:
        return debianseed.debs(self.packages.debs)

    @property
    def identity(self) -> str:
        shape = asdict(self.packages.authored)
        # What was wanted and why is in the lock; the rest shapes the tree.
        for key in ("wanted", "exclude", "missing"):
            del shape[key]
        return sha256_of([FORMAT, shape, [deb.sha256 for deb in self.packages.debs]])

    def unpack(self, fetched: Mapping[str, Path], into: Path) -> None:
        from rootfs.seed import make_seed

        debs = [fetched[deb.sha256] for deb in self.packages.debs]
        make_seed(debs, into, seed=self.packages.authored)


class AlpineRoot(Seed):
    """Alpine's minimal root file system with a compiler out of wheels, and Debian's Crystal.

    tarball: another release of it, and its sha256.
    """

    def __init__(
        self, data: Path, arch: str, store: Store, tarball: tuple[Path, str] | None = None
    ) -> None:
        super().__init__(f"alpine-{arch}", store)
        self.authored = load_alpine(data / "alpine.yaml", arch)
        self.tarball = tarball
        if self.authored.debian:
            self.packages = Packages(data, arch, store, only=self.authored.debian)

    @property
    def sources(self) -> Sequence[Source]:
        own = [] if self.tarball else [self.authored.source]
        return [*own, *self.authored.wheels, *debianseed.debs(self._debs)]

    @property
    def _debs(self) -> list[debianseed.Deb]:
        return self.packages.debs if self.packages else []

    @property
    def identity(self) -> str:
        shape = asdict(self.authored)
        # Where things are found, and what is made besides, is not in the tree.
        for key in ("version", "source", "wheels", "debian", "lacks", "besides", "missing"):
            del shape[key]
        wheels = [[wheel.sha256, wheel.leave] for wheel in self.authored.wheels]
        root = self.tarball[1] if self.tarball else self.authored.source.sha256
        return sha256_of([FORMAT, shape, root, wheels, [deb.sha256 for deb in self._debs]])

    def describe(self) -> dict[str, Any]:
        version = self.tarball[0].name if self.tarball else self.authored.version
        return super().describe() | {"alpine": version}

    def unpack(self, fetched: Mapping[str, Path], into: Path) -> None:
        from rootfs.seed import make_alpine

        make_alpine(
            self._checked() if self.tarball else fetched[self.authored.source.sha256],
            into,
            seed=self.authored,
            wheels=[fetched[wheel.sha256] for wheel in self.authored.wheels],
            debs=[fetched[deb.sha256] for deb in self._debs],
        )

    def _checked(self) -> Path:
        assert self.tarball
        path, wanted = self.tarball
        found = file_sha256(path)
        if found != wanted:
            raise BuildError(
                f"its sha256 is {found}, not {wanted}",
                where=str(path),
                hint="give the file that seed_sha256 names, or the hash of this one",
            )
        return path


class SelfRoot(Seed):
    """The system of ours that this runs in: the same root, but for what was changed in it since."""

    def __init__(self, system: System, store: Store) -> None:
        super().__init__("self", store)
        self.system = system

    @cached_property
    def identity(self) -> str:
        return sha256_of([FORMAT, sorted(self.system.artifacts.items())])

    def unpack(self, fetched: Mapping[str, Path], into: Path) -> None:
        del fetched
        self.system.tree(self.system.artifacts, into)


class PathRoot(Seed):
    """A directory or tarball that the user names: copied or unpacked, so that it stays as it is.

    It may be a system of ours.
    """

    def __init__(self, path: Path, store: Store) -> None:
        super().__init__(path.name, store)
        self.path = path

    @cached_property
    def identity(self) -> str:
        if self.path.is_dir():
            from rootfs.intact import listing

            return sha256_of([FORMAT, listing(self.path)])
        return sha256_of([FORMAT, file_sha256(self.path)])

    def unpack(self, fetched: Mapping[str, Path], into: Path) -> None:
        from rootfs.seed import make_from_path

        del fetched
        # Of a system of ours, the sources and this project are not what builds.
        make_from_path(self.path, into, leave=[WORKSPACE] if described(self.path) else [])
