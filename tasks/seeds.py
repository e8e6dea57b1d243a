"""The three kinds of seed: Debian's packages, Alpine's tarball, and whatever the user names.

what it is made of ──hash──▶ identity ──▶ trees/seed-<identity>
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cache.store import Store
from plan import seedfile, toolchain
from plan.errors import BuildError
from plan.model import Source
from plan.plan import sha256_of
from rootfs.files import being_made, replacing

if TYPE_CHECKING:
    from cache.seedlock import Drift
    from tasks.system import System

# Raise it when the same inputs are unpacked to a different tree.
FORMAT = 1


class Seed(ABC):
    """What a build needs to know of its first root."""

    def __init__(self, name: str, store: Store) -> None:
        self.name, self.store = name, store

    compiler = toolchain.DEBIAN
    """Where it keeps its compiler."""

    snapshot = ""
    """The moment at which snapshot.debian.org holds all that the project uses."""

    @property
    def record(self) -> tuple[str, bytes] | None:
        """The file beside the lock file, and its content, that another machine needs to make the
        same seed; None where the lock file says it all."""
        return None

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
        return {"name": self.name, "identity": self.identity}

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
        self.data = data
        lock_file = data / f"{self.name}.lock.yaml"
        if not lock_file.exists():
            raise BuildError(
                f"there is no seed debian for {arch} yet",
                where=f"plan/seeds/{lock_file.name}",
                hint="a seed is of the architecture of the machine: use another one, or seed=PATH",
            )
        self.authored = seedfile.load_debian(data / f"{self.name}.yaml")
        self.lock = seedfile.load_lock(lock_file)
        self.snapshot = self.lock.snapshot
        digest = sha256_of([deb.sha256 for deb in self.lock.debs])
        self.drift_file = store.root / "seeds" / f"{digest}.drift.json"

    @cached_property
    def drift(self) -> list[dict[str, Any]]:
        """What was replaced, each with its `pinned` and its `taken` package.

        A bundle brings its record beside the lock file; what was recorded later goes before.
        """
        known: dict[str, dict[str, Any]] = {}
        for path in (self.data / self.drift_file.name, self.drift_file):
            with contextlib.suppress(OSError, ValueError):
                known |= {each["name"]: each for each in json.loads(path.read_text())}
        return list(known.values())

    @property
    def debs(self) -> list[seedfile.Deb]:
        """The packages as they are really used."""
        taken = {each["name"]: seedfile.Deb(**each["taken"]) for each in self.drift}
        return [taken.get(deb.name, deb) for deb in self.lock.debs]

    @property
    def sources(self) -> Sequence[Source]:
        return seedfile.debs(self.debs)

    @property
    def identity(self) -> str:
        shape = asdict(self.authored)
        # What was wanted and why is in the lock; the rest shapes the tree.
        del shape["wanted"], shape["exclude"]
        return sha256_of([FORMAT, shape, [deb.sha256 for deb in self.debs]])

    @property
    def record(self) -> tuple[str, bytes] | None:
        text = json.dumps(self.drift, indent=1).encode()
        return (self.drift_file.name, text) if self.drift else None

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "snapshot": self.snapshot, "drift": self.drift}

    def unpack(self, fetched: Mapping[str, Path], into: Path) -> None:
        from rootfs.seed import make_seed

        make_seed([fetched[deb.sha256] for deb in self.debs], into, seed=self.authored)

    def replace(self, missing: Collection[str], *, mirror: str, strict: bool) -> tuple[Drift, ...]:
        """Take the successors of the packages whose sha256 are `missing`, and record that."""
        from cache.places import known_archives
        from cache.seedlock import replace_missing, seed_index

        urls = [archive.url for archive in known_archives(mirror)]
        _, index = seed_index(self.authored, urls)
        _, drifts = replace_missing(self.debs, missing, index, strict=strict)
        known = {each["name"]: each for each in self.drift}
        known |= {drift.name: asdict(drift) for drift in drifts}
        with replacing(self.drift_file) as file:
            file.write(json.dumps(list(known.values()), indent=1).encode())
        del self.drift
        return drifts


class AlpineRoot(Seed):
    """Alpine's minimal root file system."""

    def __init__(self, data: Path, arch: str, store: Store) -> None:
        super().__init__(f"alpine-{arch}", store)
        self.authored = seedfile.load_alpine(data / f"{self.name}.yaml")

    @property
    def sources(self) -> Sequence[Source]:
        return (self.authored.source,)

    @property
    def identity(self) -> str:
        return sha256_of([FORMAT, self.authored.source.sha256])

    def unpack(self, fetched: Mapping[str, Path], into: Path) -> None:
        from rootfs.seed import make_alpine

        make_alpine(fetched[self.authored.source.sha256], into)


class SelfRoot(Seed):
    """The system of ours that this runs in: the same root, but for what was changed in it since."""

    compiler = toolchain.OWN

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
    """A directory or tarball that the user names: copied or unpacked, so that it stays as it is."""

    def __init__(self, path: Path, store: Store) -> None:
        super().__init__(path.name, store)
        self.path = path

    @cached_property
    def identity(self) -> str:
        if self.path.is_dir():
            from rootfs.intact import listing

            return sha256_of([FORMAT, listing(self.path)])
        with self.path.open("rb") as file:
            return sha256_of([FORMAT, hashlib.file_digest(file, "sha256").hexdigest()])

    def unpack(self, fetched: Mapping[str, Path], into: Path) -> None:
        from rootfs.seed import make_from_path

        del fetched
        make_from_path(self.path, into)
