"""Seeds as data: what is authored, and what is locked.

    plan/seeds/debian.yaml ──load_debian──▶ DebianSeed   what is wanted, and why
        │ `doit lock` (cache.seedlock)
        ▼
    plan/seeds/debian-<arch>.lock.yaml ──load_lock──▶ Lock ──debs──▶ Sources to fetch
    plan/seeds/alpine-<arch>.yaml ──load_alpine──▶ AlpineSeed ──▶ what it lacks, for the plan

Everything that comes out is checked: names, hashes, sizes, paths that stay in their tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from plan import toolchain
from plan.errors import BuildError
from plan.model import Source
from plan.recipes import SHA256, listed_sources
from plan.toolchain import Tools
from plan.yamlfile import Table, load

# Debian policy, 5.6.1 and 5.6.12.
PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+\Z")
VERSION = re.compile(r"[A-Za-z0-9.+~:-]+\Z")
POOL_PATH = re.compile(r"pool/[A-Za-z0-9.+~_:%/-]+\.deb\Z")
SNAPSHOT = re.compile(r"\d{8}T\d{6}Z\Z")


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


@dataclass(frozen=True)
class AlpineSeed:
    """Alpine's minimal root file system, and over it what makes it a seed.

    wheels: of Python's package index; they are unpacked in `usr/lib/wheels`. debian: names of
    packages of the seed `debian`, unpacked in `usr/lib/debian`. leave: globs of files of both that
    stay packed. programs (path, text) and links (path, target) lie over all. lacks, besides,
    missing: see `plan.toolchain.Tools`.
    """

    architecture: str
    version: str
    source: Source
    wheels: tuple[Source, ...]
    debian: tuple[str, ...]
    leave: tuple[str, ...]
    programs: tuple[tuple[str, str], ...]
    links: tuple[tuple[str, str], ...]
    lacks: tuple[tuple[str, str], ...]
    besides: tuple[tuple[str, tuple[str, ...]], ...]
    missing: tuple[tuple[str, str], ...]


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
    own = _architecture(table["architectures"], arch)
    return DebianSeed(
        architecture=arch,
        suite=archive["suite"],
        component=archive["component"],
        debian_architecture=own["archive"],
        missing=tuple(own.mapping("missing").items()),
        wanted=tuple(sorted(_reasoned(table, "wanted") + _reasoned(own, "wanted"))),
        exclude=tuple(sorted(_reasoned(table, "exclude") + _reasoned(own, "exclude"))),
        leave=table.texts("leave"),
        folders=_inside(table, "folders", table.texts("folders")),
        files=tuple((name, table["files"][name]) for name in _keys(table, "files")),
        links=_links(table),
    )


def _architecture(table: Table, arch: str) -> Table:
    """What only machines of `arch` want or lack. Raises BuildError if there is nothing for them."""
    if arch not in table:
        raise BuildError(
            f"there is no seed debian for machines of {arch}",
            where=table.where(),
            hint="use another seed, or build on another machine: arch= says what for",
        )
    table.expect(dict.fromkeys(table, dict))
    own: Table = table[arch]
    kinds = {"archive": str, "wanted": dict, "exclude": dict, "missing": dict}
    own.expect(kinds, required=("archive",))
    return own


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


def load_alpine(path: Path) -> AlpineSeed:
    """Read the description of an Alpine seed. Raises BuildError with file and line."""
    table = load(path)
    kinds = {
        "architecture": str,
        "version": str,
        "file": str,
        "size": int,
        "sha256": str,
        "places": list,
        "wheels": list,
        "debian": dict,
        "leave": list,
        "programs": dict,
        "links": dict,
        "lacks": dict,
        "besides": dict,
        "missing": dict,
    }
    table.expect(kinds, required=("architecture", "version", "file", "size", "sha256", "places"))
    _match(table, "sha256", SHA256)
    return AlpineSeed(
        architecture=table["architecture"],
        version=table["version"],
        source=Source(table["sha256"], table["size"], table["file"], table.texts("places")),
        wheels=_wheels(table),
        debian=_reasoned(table, "debian"),
        leave=table.texts("leave"),
        programs=tuple((name, table["programs"][name]) for name in _keys(table, "programs")),
        links=_links(table),
        lacks=tuple(table.mapping("lacks").items()),
        besides=_lists(table, "besides"),
        missing=tuple(table.mapping("missing").items()),
    )


def seed_tools(folder: Path, seed: str, arch: str) -> Tools:
    """What the seed of the name `seed` for `arch` has for building, by its file in `folder`."""
    if seed == "self":
        return Tools(toolchain.OWN)
    if seed == "alpine":
        authored = load_alpine(folder / f"alpine-{arch}.yaml")
        lacks, missing = dict(authored.lacks), dict(authored.missing)
        return Tools(toolchain.ALPINE, lacks, dict(authored.besides), missing)
    if seed == "debian":
        missing = dict(load_debian(folder / "debian.yaml", arch).missing)
        return Tools(toolchain.DEBIAN, missing=missing)
    return toolchain.DEBIAN_TOOLS


def _lists(table: Table, key: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if key not in table:
        return ()
    table[key].expect(dict.fromkeys(table[key], list))
    return tuple((name, table[key].texts(name)) for name in table[key])


def _wheels(table: Table) -> tuple[Source, ...]:
    """The wheels, each of which has to be for the seed's architecture, or for any."""
    wheels = listed_sources(table, "wheels") if "wheels" in table else ()
    for wheel in wheels:
        platform = wheel.file.removesuffix(".whl").rpartition("-")[2]
        if platform != "any" and not platform.endswith(f"_{table['architecture']}"):
            raise BuildError(
                f"{wheel.file} is not for {table['architecture']}",
                where=table.where("wheels"),
                hint="take the wheel of the same version with that name at its end",
            )
    return wheels


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


def _reasoned(table: Table, key: str) -> tuple[str, ...]:
    """The packages under `key`, each of which has to come with its reason."""
    reasons = table.get(key, {})
    for name, reason in reasons.items():
        where = reasons.where(name)
        if not PACKAGE.match(name):
            raise BuildError(f"{name!r} is no name of a Debian package", where=where)
        if not isinstance(reason, str) or not reason.strip():
            raise BuildError(f"{name} has no reason", where=where, hint=f"{name}: why")
    return tuple(sorted(reasons))


def _keys(table: Table, key: str) -> tuple[str, ...]:
    entries = table.get(key)
    if entries is None:
        return ()
    entries.expect(dict.fromkeys(entries, str))
    return _inside(table, key, sorted(entries))


def _links(table: Table) -> tuple[tuple[str, str], ...]:
    """Links as (path, target), sorted; authored as target: [names in /usr/bin]."""
    groups = table.get("links")
    if groups is None:
        return ()
    groups.expect(dict.fromkeys(groups, list))
    found = [(f"usr/bin/{name}", target) for target in groups for name in groups.texts(target)]
    paths = _inside(table, "links", [path for path, _ in found])
    if len(set(paths)) != len(paths):
        twice = sorted({path for path in paths if paths.count(path) > 1})
        raise BuildError(f"made twice: {', '.join(twice)}", where=table.where("links"))
    return tuple(sorted(found))


def _inside(table: Table, key: str, paths: Iterable[str]) -> tuple[str, ...]:
    """`paths`, all of them plain relative ones."""
    for path in paths:
        if not path or path.startswith("/") or {"", ".", ".."} & set(path.split("/")):
            raise BuildError(f"{path!r} is no path inside the seed", where=table.where(key))
    return tuple(paths)
