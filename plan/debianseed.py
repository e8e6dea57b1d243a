"""The seed `debian` as data: what is authored, and what is locked.

plan/seeds/debian.yaml ──load_debian──▶ DebianSeed   what is wanted, and why
    │ `doit lock` (cache.seedlock)
    ▼
plan/seeds/debian-<arch>.lock.yaml ──load_lock──▶ Lock ──debs──▶ Sources to fetch
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from plan.errors import BuildError
from plan.model import Source
from plan.recipes import SHA256
from plan.seedtables import PACKAGE, contents, inside, links, of_architecture, reasoned
from plan.yamlfile import Table, load

# Debian policy, 5.6.12.
VERSION = re.compile(r"[A-Za-z0-9.+~:-]+\Z")
POOL_PATH = re.compile(r"pool/[A-Za-z0-9.+~_:%/-]+\.deb\Z")
SNAPSHOT = re.compile(r"\d{8}T\d{6}Z\Z")
# What one architecture can have of its own.
_OWN = {"archive": str, "wanted": dict, "exclude": dict, "missing": dict}


@dataclass(frozen=True)
class DebianSeed:
    """What is authored about a seed of Debian packages.

    exclude: packages that are never taken, though something depends on them. leave: globs of
    files that stay packed. folders, files (path, text) and links (path, target) are what
    maintainer scripts would have made; a file that a package brings wins over a link. missing: see
    `plan.toolchain.Tools`.
    """

    architecture: str
    suite: str
    component: str
    debian_architecture: str
    wanted: tuple[str, ...]
    exclude: tuple[str, ...]
    leave: tuple[str, ...]
    folders: tuple[str, ...]
    files: tuple[tuple[str, str], ...]
    links: tuple[tuple[str, str], ...]
    missing: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Deb:
    """One pinned package. path: in Debian's archive ("pool/main/…"); size: bytes."""

    name: str
    version: str
    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Lock:
    """A pinned seed. snapshot: when snapshot.debian.org held all of it ("20250801T000000Z")."""

    suite: str
    snapshot: str
    debs: tuple[Deb, ...]


def load_debian(path: Path, arch: str) -> DebianSeed:
    """Read the authored Debian seed for machines of `arch`. Raises BuildError with its place."""
    table = load(path)
    kinds = {
        "archive": dict,
        "architectures": dict,
        "wanted": dict,
        "exclude": dict,
        "leave": list,
        "folders": list,
        "files": dict,
        "links": dict,
    }
    table.expect(kinds, required=("archive", "architectures", "wanted"))
    archive: Table = table["archive"]
    fields = ("suite", "component")
    archive.expect(dict.fromkeys(fields, str), required=fields)
    own = of_architecture(table, arch, _OWN, ("archive",), "debian")
    return DebianSeed(
        architecture=arch,
        suite=archive["suite"],
        component=archive["component"],
        debian_architecture=own["archive"],
        missing=tuple(own.mapping("missing").items()),
        wanted=tuple(sorted(reasoned(table, "wanted") + reasoned(own, "wanted"))),
        exclude=tuple(sorted(reasoned(table, "exclude") + reasoned(own, "exclude"))),
        leave=table.texts("leave"),
        folders=inside(table, "folders", table.texts("folders")),
        files=contents(table, "files"),
        links=links(table),
    )


def load_lock(path: Path) -> Lock:
    """Read a lock file. Raises BuildError with file and line; the remedy is `doit lock`."""
    table = load(path)
    table.expect(
        {"suite": str, "snapshot": str, "packages": list},
        required=("suite", "snapshot", "packages"),
    )
    _match(table, "snapshot", SNAPSHOT)
    return Lock(
        table["suite"], table["snapshot"], tuple(_deb(item, table) for item in table["packages"])
    )


def debs(lock: Lock | Iterable[Deb]) -> tuple[Source, ...]:
    """The pinned packages as sources, in the lock's order."""
    pinned = lock.debs if isinstance(lock, Lock) else lock
    return tuple(
        Source(deb.sha256, deb.size, PurePosixPath(deb.path).name, (f"debian:{deb.path}",))
        for deb in pinned
    )


def _deb(item: object, table: Table) -> Deb:
    if not isinstance(item, Table):
        raise BuildError("a package must be a mapping", where=table.where("packages"))
    fields = {"name": str, "version": str, "path": str, "size": int, "sha256": str}
    item.expect(fields, required=fields)
    patterns = {"name": PACKAGE, "version": VERSION, "path": POOL_PATH, "sha256": SHA256}
    for key, pattern in patterns.items():
        _match(item, key, pattern)
    return Deb(item["name"], item["version"], item["path"], item["size"], item["sha256"])


def _match(table: Table, key: str, pattern: re.Pattern[str]) -> None:
    if not pattern.match(table[key]) or ".." in table[key].split("/"):
        hint = "run `doit lock` to make the lock file anew"
        raise BuildError(f"{key} cannot be {table[key]!r}", where=table.where(key), hint=hint)
