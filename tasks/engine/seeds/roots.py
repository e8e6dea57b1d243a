"""The kinds of seed: Debian's packages, Alpine's tarball, the running system, a path.

its parts ──hash──▶ identity ──▶ trees/seed-<identity>
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cache.store import Store
from plan.checks import SELF
from plan.model import Source
from plan.reading.data import Directory
from plan.seeding import debian
from plan.steps.plan import sha256_of
from rootfs.archives.files import being_made
from rootfs.image.names import WORKSPACE
from tasks.engine.seeds.debian_packages import Packages
from tasks.engine.seeds.system import System, described

if TYPE_CHECKING:
    from plan.seeding.alpine import AlpineSeed
    from plan.seeding.debian import DebianSeed

# Raise it when the same inputs are unpacked to a different tree.
FORMAT = 1
# The identity uses the first names of its keys: other names would change it.
_FIRST_NAMES = {"exclude": "leave", "directories": "folders"}
# Fields that came later: while they are empty, the identity is what it was.
_LATER = ("programs",)


class Seed(ABC):
    """The first root, as a build needs it."""

    def __init__(self, name: str, store: Store) -> None:
        self.name, self.store = name, store

    packages: Sequence[Packages] = ()
    """The Debian packages in it; those of each lock file."""

    @property
    def debs(self) -> list[debian.Deb]:
        """The Debian packages in it as really used, in the order to unpack."""
        return [deb for part in self.packages for deb in part.debs]

    @property
    def drift(self) -> list[dict[str, Any]]:
        """The packages that Debian no longer serves, with their replacements."""
        return [each for part in self.packages for each in part.drift]

    def departed(self, mirror: str) -> list[str]:
        """The names of the packages that Debian's index no longer lists; see `Packages`."""
        return [name for part in self.packages for name in part.departed(mirror)]

    @property
    def sources(self) -> Sequence[Source]:
        """The files that must be fetched to make it."""
        return ()

    @property
    @abstractmethod
    def identity(self) -> str:
        """The sha256 of its parts, which names its content."""

    @property
    def tree(self) -> Path:
        """The path of the unpacked root; it may not exist yet."""
        return self.store.root / "trees" / f"seed-{self.identity}"

    def describe(self) -> dict[str, Any]:
        """Its description for plan.json."""
        packages: dict[str, Any] = {}
        if self.packages:
            packages = {"snapshot": self.packages[0].lock.snapshot, "drift": self.drift}
        return {"name": self.name, "identity": self.identity, **packages}

    def is_up_to_date(self) -> bool:
        """Whether its tree exists and nobody has written to it."""
        from rootfs.archives.intact import untouched

        return self.tree.exists() and untouched(self.tree)

    def make(self, fetched: Mapping[str, Path]) -> None:
        """Unpack it. `fetched`: the files of `sources`, by sha256. Raises BuildError."""
        with being_made(self.tree) as fresh:
            self.unpack(fetched, fresh)
            try:
                fresh.rename(self.tree)
            except OSError:
                # Another checkout made it first.
                if not self.tree.exists():
                    raise

    @abstractmethod
    def unpack(self, fetched: Mapping[str, Path], into: Path) -> None:
        """Unpack it into the empty directory `into`."""


class DebianRoot(Seed):
    """Debian packages from the lock file, with the recorded replacements."""

    def __init__(self, data: Directory, arch: str, store: Store) -> None:
        super().__init__(f"debian-{arch}", store)
        own = Packages(data, arch, store)
        self.authored = own.authored
        self.packages = (own, *_foreign(self.authored, data, store))

    @property
    def sources(self) -> Sequence[Source]:
        return debian.debs(self.debs)

    @property
    def identity(self) -> str:
        # The lock has the wanted packages; the other fields shape the tree.
        without = ("compiler", "wanted", "exclude_packages", "foreign", "least", "missing")
        shape = _shape(self.authored, without=without)
        return sha256_of([FORMAT, shape, [deb.sha256 for deb in self.debs]])

    def unpack(self, fetched: Mapping[str, Path], into: Path) -> None:
        from rootfs.archives.seed import make_seed

        make_seed([fetched[deb.sha256] for deb in self.debs], into, seed=self.authored)


class CompletedRoot(Seed):
    """A root file system with the additions of `authored`: wheels, Debian packages, programs.

    root: its file or directory, and its hash; None: the file of `authored`.
    """

    def __init__(
        self,
        name: str,
        data: Directory,
        store: Store,
        authored: AlpineSeed,
        root: tuple[Path, str] | None = None,
    ) -> None:
        super().__init__(name, store)
        self.authored, self.root = authored, root
        names, arch = authored.debian, authored.architecture
        own = (Packages(data, arch, store, only=names),) if names else ()
        self.packages = (*own, *_foreign(authored, data, store))

    @property
    def sources(self) -> Sequence[Source]:
        own = [] if self.root else [self.authored.source]
        return [*own, *self.authored.wheels, *debian.debs(self.debs)]

    @property
    def identity(self) -> str:
        # URLs, and what is said of the tools, do not change the tree.
        without = (
            *("version", "source", "wheels", "debian", "foreign"),
            *("compiler", "makes", "makes_crossed", "missing"),
        )
        shape = _shape(self.authored, without=without)
        wheels = [[wheel.sha256, wheel.exclude] for wheel in self.authored.wheels]
        root = self.root[1] if self.root else self.authored.source.sha256
        return sha256_of([FORMAT, shape, root, wheels, [deb.sha256 for deb in self.debs]])

    def unpack(self, fetched: Mapping[str, Path], into: Path) -> None:
        from plan.seeding.look_at import machine_of
        from plan.seeding.path import require_fit
        from rootfs.archives.root import Root
        from rootfs.archives.seed import make_alpine
        from tasks.engine.seeds.given import require_sha256

        if self.root and self.root[0].is_file():
            require_sha256(*self.root)
        make_alpine(
            self.root[0] if self.root else fetched[self.authored.source.sha256],
            into,
            seed=self.authored,
            wheels=[fetched[wheel.sha256] for wheel in self.authored.wheels],
            debs=[fetched[deb.sha256] for deb in self.debs],
        )
        where = str(self.root[0]) if self.root else self.authored.source.file
        require_fit(machine_of(Root(into)), where, self.authored.architecture)


class AlpineRoot(CompletedRoot):
    """Alpine's minimal root file system with a compiler from wheels, and Debian's Crystal.

    tarball: another release of it, and its sha256. release: one of those that its file lists.
    """

    def __init__(
        self,
        data: Directory,
        arch: str,
        store: Store,
        tarball: tuple[Path, str] | None = None,
        release: str = "",
    ) -> None:
        from plan.seeding.alpine import load_alpine

        authored = load_alpine(data / "alpine.yaml", arch, release)
        super().__init__(f"alpine-{arch}", data, store, authored, tarball)

    def describe(self) -> dict[str, Any]:
        version = self.root[0].name if self.root else self.authored.version
        return super().describe() | {"alpine": version}


class SelfRoot(Seed):
    """The running system, built by this project: the same root, without later changes."""

    def __init__(self, system: System, store: Store) -> None:
        super().__init__(SELF, store)
        self.system = system

    @cached_property
    def identity(self) -> str:
        return sha256_of([FORMAT, sorted(self.system.artifacts.items())])

    def unpack(self, fetched: Mapping[str, Path], into: Path) -> None:
        del fetched
        self.system.tree(self.system.artifacts, into)


class PathRoot(Seed):
    """A directory or tarball from the user: copied or unpacked, so that it stays unchanged.

    It lacks nothing; it may be a system that this project built. content: its hash.
    """

    def __init__(self, path: Path, store: Store, content: str) -> None:
        super().__init__(path.name, store)
        self.path, self._content = path, content

    @property
    def identity(self) -> str:
        return sha256_of([FORMAT, self._content])

    def unpack(self, fetched: Mapping[str, Path], into: Path) -> None:
        from rootfs.archives.seed import make_from_path

        del fetched
        # In a system of this project, sources and the project itself do not take part in builds.
        make_from_path(self.path, into, exclude=[WORKSPACE] if described(self.path) else [])


def _foreign(
    authored: DebianSeed | AlpineSeed, data: Directory, store: Store
) -> tuple[Packages, ...]:
    """The packages of another architecture in the seed `authored`."""
    foreign = authored.foreign
    if not foreign:
        return ()
    return (Packages(data, foreign.architecture, store, only=foreign.packages),)


def _shape(authored: DebianSeed | AlpineSeed, *, without: Collection[str]) -> dict[str, Any]:
    """The fields of `authored` that shape the tree: all except `without`. All are plain."""
    return {
        _FIRST_NAMES.get(name, name): value
        for name, value in vars(authored).items()
        if name not in without and (value or name not in _LATER)
    }
