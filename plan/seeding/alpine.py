"""The seed `alpine` as data.

plan/seeds/alpine.yaml ──load_alpine──▶ AlpineSeed ──▶ files to fetch, missing tools
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from plan.compiling.toolchain import Compiler
from plan.errors import BuildError, nearest
from plan.model import Source
from plan.reading.recipes import read_source
from plan.seeding.foreign import Foreign, load_foreign
from plan.seeding.tables import compiler, contents, entries, links, lists, of_architecture, reasoned
from plan.yamlfile import Table, load

# Where Debian's packages are in it.
DEBIAN = "usr/lib/debian"
_KINDS = {
    "version": str,
    "compiler": dict,
    "architectures": dict,
    "exclude": list,
    "wheels": dict,
    "programs": dict,
    "links": dict,
    "makes": dict,
    "makes-crossed": dict,
}
# The keys that an architecture may have.
_OWN = {
    "releases": dict,
    "wheels": dict,
    "debian": dict,
    "foreign": str,
    "exclude": list,
    "programs": dict,
    "missing": dict,
}


@dataclass(frozen=True)
class AlpineSeed:
    """Alpine's minimal root file system, and the files that make it a seed.

    wheels: from Python's package index, unpacked in `usr/lib/wheels`. debian: names of
    packages of the seed `debian`, unpacked in `usr/lib/debian`; foreign: those of another
    architecture, too. exclude: globs of files of all these that are not unpacked. programs (path,
    text) and links (path, target) come last. makes, makes_crossed, missing: see
    `plan.compiling.toolchain.Tools`.
    """

    architecture: str
    version: str
    source: Source
    compiler: Compiler
    wheels: tuple[Source, ...]
    debian: tuple[str, ...]
    foreign: Foreign | None
    exclude: tuple[str, ...]
    programs: tuple[tuple[str, str], ...]
    links: tuple[tuple[str, str], ...]
    makes: tuple[tuple[str, tuple[str, ...]], ...]
    makes_crossed: tuple[tuple[str, tuple[str, ...]], ...]
    missing: tuple[tuple[str, str], ...]


def load_alpine(path: Path, arch: str, release: str = "") -> AlpineSeed:
    """Read the seed for machines of `arch`. release: one of the file's, instead of its `version`.

    Raises BuildError with file and line.
    """
    table = load(path)
    table.expect(_KINDS, required=("version", "architectures"))
    own = of_architecture(table, arch, _OWN, ("releases",), "alpine")
    foreign = load_foreign(own, path.parent, arch)
    emulated = ((f"{DEBIAN}/{name}", text) for name, text in (foreign.emulated if foreign else ()))
    programs = (*contents(table, "programs"), *contents(own, "programs"), *emulated)
    return AlpineSeed(
        architecture=arch,
        version=release or table["version"],
        source=_root(own, release or table["version"], arch),
        compiler=compiler(table),
        wheels=_wheels(table, own, arch),
        debian=reasoned(own, "debian"),
        foreign=foreign,
        exclude=table.texts("exclude") + own.texts("exclude"),
        programs=tuple(sorted((name, text.replace("@arch@", arch)) for name, text in programs)),
        links=links(table),
        makes=lists(table, "makes"),
        makes_crossed=lists(table, "makes-crossed"),
        missing=tuple(own.mapping("missing").items()),
    )


def _root(own: Table, release: str, arch: str) -> Source:
    """The root file system of one of the releases."""
    releases = entries(own, "releases", dict)
    if release not in releases:
        raise BuildError(
            f"Alpine {release} is not pinned for {arch}",
            where=own.where("releases"),
            hint=f"seed_release= takes {', '.join(releases)}; seed_tarball=FILE seed_sha256=… "
            "takes the file of any other release",
        )
    return read_source(releases[release])


def _wheels(table: Table, own: Table, arch: str) -> tuple[Source, ...]:
    """The wheels: shared facts from `table`, and the architecture's files from `own`."""
    shared, files = (entries(each, "wheels", dict) for each in (table, own))
    for name in sorted({*shared} ^ {*files}):
        wheels, others = (shared, files) if name in shared else (files, shared)
        raise BuildError(
            f"the wheel {name} is not in both lists of wheels",
            where=wheels.where(name),
            hint=nearest(name, others) or f"add its file for {arch}",
        )
    return tuple(_wheel(shared[name], files[name], arch) for name in shared)


def _wheel(shared: Table, own: Table, arch: str) -> Source:
    """One wheel. It must be for the seed's architecture, or for any."""
    entry = shared.copied()
    for key, value in own.items():
        entry.put(key, value, own.where(key))
    wheel = read_source(entry)
    platform = wheel.file.removesuffix(".whl").rpartition("-")[2]
    if platform != "any" and not platform.endswith(f"_{arch}"):
        raise BuildError(
            f"{wheel.file} is not for {arch}",
            where=own.where("file"),
            hint="use the wheel of the same version for this architecture",
        )
    return wheel
