"""Shared parts of the seed files: common keys, and a table for each architecture.

All results are checked: names, reasons, and paths that stay inside the tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from plan.compiling.toolchain import Compiler
from plan.errors import BuildError
from plan.reading.keys import COMPILER, kinds, required
from plan.yamlfile import Table

# Debian policy, 5.6.1.
PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+\Z")


def of_architecture(
    table: Table, arch: str, kinds: Mapping[str, type], required: Iterable[str], seed: str
) -> Table:
    """The table below `architectures` for machines of `arch`.

    Raises BuildError if it is wrong, or if the seed, named `seed`, does not have it.
    """
    if arch not in table["architectures"]:
        raise BuildError(
            f"there is no seed {seed} for machines of {arch}",
            where=table.where("architectures"),
            hint="use another seed, or build on another machine: arch= names the target",
        )
    own: Table = entries(table, "architectures", dict)[arch]
    own.expect(kinds, required=required)
    return own


def compiler(table: Table) -> Compiler:
    """The seed's compiler, from the key `compiler`."""
    own = table.get("compiler")
    if not isinstance(own, Table):
        raise BuildError("'compiler' must be a mapping", where=table.where("compiler"))
    own.expect(kinds(COMPILER), required(COMPILER))
    host = own.texts("host") or Compiler.host
    if len(host) != 2:
        raise BuildError("'host' must be a C and a C++ compiler", where=own.where("host"))
    lists = {"libraries": own.texts("libraries"), "host": (host[0], host[1])}
    return Compiler(**{**own, **lists})


def entries(table: Table, key: str, kind: type) -> Table:
    """The table under `key`, whose values all have the type `kind`; empty if there is none."""
    found: Table = table.get(key, Table(table.file, table.line))
    found.expect(dict.fromkeys(found, kind))
    return found


def reasoned(table: Table, key: str) -> tuple[str, ...]:
    """The packages under `key`, each with its reason."""
    reasons = table.get(key, {})
    for name, reason in reasons.items():
        where = reasons.where(name)
        if not PACKAGE.match(name):
            raise BuildError(f"{name!r} is not a valid name of a Debian package", where=where)
        if not isinstance(reason, str) or not reason.strip():
            raise BuildError(f"{name} has no reason", where=where, hint=f"write one: {name}: why")
    return tuple(sorted(reasons))


def contents(table: Table, key: str) -> tuple[tuple[str, str], ...]:
    """The texts under `key` with their paths, sorted."""
    texts = entries(table, key, str)
    return tuple((name, texts[name]) for name in inside(table, key, sorted(texts)))


def links(table: Table) -> tuple[tuple[str, str], ...]:
    """Links as (path, target), sorted; the file has them as target: [names in /usr/bin]."""
    groups = entries(table, "links", list)
    found = [(f"usr/bin/{name}", target) for target in groups for name in groups.texts(target)]
    paths = inside(table, "links", [path for path, _ in found])
    if len(set(paths)) != len(paths):
        twice = sorted({path for path in paths if paths.count(path) > 1})
        raise BuildError(f"duplicate links: {', '.join(twice)}", where=table.where("links"))
    return tuple(sorted(found))


def inside(table: Table, key: str, paths: Iterable[str]) -> tuple[str, ...]:
    """`paths`; each must be a relative path that stays inside."""
    for path in paths:
        if not path or path.startswith("/") or {"", ".", ".."} & set(path.split("/")):
            raise BuildError(f"{path!r} is not a path inside the seed", where=table.where(key))
    return tuple(paths)


def lists(table: Table, key: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The lists under `key`, by name."""
    found = entries(table, key, list)
    return tuple((name, found.texts(name)) for name in found)
