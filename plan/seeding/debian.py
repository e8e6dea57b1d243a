"""The seed `debian` as data: the authored file and the lock file.

plan/seeds/debian.yaml ──load_debian──▶ DebianSeed   the wanted packages, and why
    │ `doit lock` (cache.seedlock)
    ▼
plan/seeds/debian-<arch>.lock.yaml ──load_lock──▶ Lock ──debs──▶ Sources to fetch
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from plan.compiling.toolchain import Compiler
from plan.errors import BuildError
from plan.model import Source
from plan.reading.recipes import SHA256, SNAPSHOT
from plan.seeding.foreign import Foreign, load_foreign
from plan.seeding.tables import (
    PACKAGE,
    compiler,
    contents,
    entries,
    inside,
    links,
    of_architecture,
    reasoned,
)
from plan.typed import typed
from plan.yamlfile import Table, load

# Debian policy, 5.6.12.
VERSION = re.compile(r"[A-Za-z0-9.+~:-]+\Z")
POOL_PATH = re.compile(r"pool/[A-Za-z0-9.+~_:%/-]+\.deb\Z")
# The keys that an architecture may have.
_OWN = {
    "archive": str,
    "wanted": dict,
    "least": dict,
    "exclude_packages": dict,
    "foreign": str,
    "exclude": list,
    "programs": dict,
    "missing": dict,
}


@dataclass(frozen=True)
class DebianSeed:
    """The authored description of a seed of Debian packages.

    exclude_packages: never installed, even if a package depends on them. exclude: globs of
    files that are not unpacked. directories, files (path, text) and links (path, target) replace
    the work of maintainer scripts; a file of a package wins over a link. programs (path, text) are
    executable files. foreign: packages of another architecture. least (package, version): older
    ones will not do. missing: see `plan.compiling.toolchain.Tools`.
    """

    compiler: Compiler
    architecture: str
    suite: str
    component: str
    debian_architecture: str
    wanted: tuple[str, ...]
    exclude_packages: tuple[str, ...]
    exclude: tuple[str, ...]
    directories: tuple[str, ...]
    files: tuple[tuple[str, str], ...]
    links: tuple[tuple[str, str], ...]
    programs: tuple[tuple[str, str], ...] = ()
    foreign: Foreign | None = None
    least: tuple[tuple[str, str], ...] = ()
    missing: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Deb:
    """One pinned package. path: in Debian's archive ("pool/main/…"); size: bytes.

    snapshot: the time at which snapshot.debian.org has it ("20250801T000000Z"), or "".
    """

    name: str
    version: str
    path: str
    size: int
    sha256: str
    snapshot: str = ""


@dataclass(frozen=True)
class Lock:
    """A pinned seed. snapshot: the time at which snapshot.debian.org has all of it."""

    suite: str
    snapshot: str
    debs: tuple[Deb, ...]


def load_debian(path: Path, arch: str) -> DebianSeed:
    """Read the authored seed for machines of `arch`. Raises BuildError with file and line."""
    table = load(path)
    kinds = {
        "archive": dict,
        "compiler": dict,
        "architectures": dict,
        "wanted": dict,
        "exclude_packages": dict,
        "exclude": list,
        "directories": list,
        "files": dict,
        "links": dict,
    }
    table.expect(kinds, required=("archive", "architectures", "wanted"))
    archive: Table = table["archive"]
    fields = ("suite", "component")
    archive.expect(dict.fromkeys(fields, str), required=fields)
    own = of_architecture(table, arch, _OWN, ("archive",), "debian")
    foreign = load_foreign(own, path.parent, arch)
    return DebianSeed(
        compiler=compiler(table),
        architecture=arch,
        suite=archive["suite"],
        component=archive["component"],
        debian_architecture=own["archive"],
        missing=tuple(own.mapping("missing").items()),
        wanted=tuple(sorted(reasoned(table, "wanted") + reasoned(own, "wanted"))),
        exclude_packages=tuple(
            sorted(reasoned(table, "exclude_packages") + reasoned(own, "exclude_packages"))
        ),
        exclude=table.texts("exclude") + own.texts("exclude"),
        directories=inside(table, "directories", table.texts("directories")),
        files=contents(table, "files") + (foreign.emulated if foreign else ()),
        links=links(table),
        programs=contents(own, "programs"),
        foreign=foreign,
        least=tuple(entries(own, "least", str).items()),
    )


def load_lock(path: Path) -> Lock:
    """Read a lock file. Raises BuildError with file and line; the remedy is `doit lock`."""
    table = load(path)
    table.expect(
        {"suite": str, "snapshot": str, "packages": list},
        required=("suite", "snapshot", "packages"),
    )
    _match(table, "snapshot", SNAPSHOT)
    pinned = (_deb(item, table) for item in table["packages"])
    when = table["snapshot"]
    return Lock(table["suite"], when, tuple(replace(deb, snapshot=when) for deb in pinned))


def debs(lock: Lock | Iterable[Deb]) -> tuple[Source, ...]:
    """The pinned packages as sources, in the lock's order."""
    pinned = lock.debs if isinstance(lock, Lock) else lock
    return tuple(
        Source(
            deb.sha256,
            deb.size,
            PurePosixPath(deb.path).name,
            (f"debian:{deb.path}",),
            snapshot=deb.snapshot,
        )
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
        hint = f"{typed('lock')} writes a new lock file"
        raise BuildError(f"{key} cannot be {table[key]!r}", where=table.where(key), hint=hint)
