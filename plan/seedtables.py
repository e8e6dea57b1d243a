"""What the files of all seeds have alike: shared keys, and a table for each architecture.

Everything that comes out is checked: names, reasons, paths that stay in their tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from plan.errors import BuildError
from plan.yamlfile import Table

# Debian policy, 5.6.1.
PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+\Z")


def of_architecture(
    table: Table, arch: str, kinds: Mapping[str, type], required: Iterable[str], seed: str
) -> Table:
    """What `table` has below `architectures` for machines of `arch`.

    Raises BuildError for what is wrong in it, or if the seed, called `seed`, has nothing for them.
    """
    if arch not in table["architectures"]:
        raise BuildError(
            f"there is no seed {seed} for machines of {arch}",
            where=table.where("architectures"),
            hint="use another seed, or build on another machine: arch= says what for",
        )
    own: Table = entries(table, "architectures", dict)[arch]
    own.expect(kinds, required=required)
    return own


def entries(table: Table, key: str, kind: type) -> Table:
    """What `table` has under `key`, all of it of one kind; empty if there is no such key."""
    found: Table = table.get(key, Table(table.file, table.line))
    found.expect(dict.fromkeys(found, kind))
    return found


def reasoned(table: Table, key: str) -> tuple[str, ...]:
    """The packages under `key`, each of which has to come with its reason."""
    reasons = table.get(key, {})
    for name, reason in reasons.items():
        where = reasons.where(name)
        if not PACKAGE.match(name):
            raise BuildError(f"{name!r} is no name of a Debian package", where=where)
        if not isinstance(reason, str) or not reason.strip():
            raise BuildError(f"{name} has no reason", where=where, hint=f"{name}: why")
    return tuple(sorted(reasons))


def contents(table: Table, key: str) -> tuple[tuple[str, str], ...]:
    """The texts under `key` by their paths, sorted."""
    texts = entries(table, key, str)
    return tuple((name, texts[name]) for name in inside(table, key, sorted(texts)))


def links(table: Table) -> tuple[tuple[str, str], ...]:
    """Links as (path, target), sorted; authored as target: [names in /usr/bin]."""
    groups = entries(table, "links", list)
    found = [(f"usr/bin/{name}", target) for target in groups for name in groups.texts(target)]
    paths = inside(table, "links", [path for path, _ in found])
    if len(set(paths)) != len(paths):
        twice = sorted({path for path in paths if paths.count(path) > 1})
        raise BuildError(f"made twice: {', '.join(twice)}", where=table.where("links"))
    return tuple(sorted(found))


def inside(table: Table, key: str, paths: Iterable[str]) -> tuple[str, ...]:
    """`paths`, all of them plain relative ones."""
    for path in paths:
        if not path or path.startswith("/") or {"", ".", ".."} & set(path.split("/")):
            raise BuildError(f"{path!r} is no path inside the seed", where=table.where(key))
    return tuple(paths)


def lists(table: Table, key: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The lists under `key` by their names."""
    found = entries(table, key, list)
    return tuple((name, found.texts(name)) for name in found)
