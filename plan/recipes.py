"""Loads and checks the recipes; what comes out can be trusted by everything after it.

plan/recipes/<name>.yaml ─▶ table ─┬─▶ Recipe
plan/recipes/<name>/…             ─┘   (its files: patches, configurations, sources of our own)

Between the two, `plan.overrides` may change the table and add patches.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from plan import layers, licences
from plan.errors import BuildError, nearest
from plan.keys import RECIPE, SOURCE, kinds, required
from plan.model import Recipe, Source
from plan.yamlfile import Table, load

STYLES = ("cmake", "configure", "make", "script")
NAME = re.compile(r"[a-z0-9][a-z0-9+.-]*\Z")
SHA256 = re.compile(r"[0-9a-f]{64}\Z")
PLACE = re.compile(r"(https?://|debian:pool/|wheel:[A-Za-z0-9._-]+==)\S+\Z")
KEYS, REQUIRED = kinds(RECIPE), required(RECIPE)


def load_recipes(folder: Path) -> dict[str, Recipe]:
    """All recipes in `folder`, by name, in the order of their names.

    Raises BuildError with file and line for whatever is wrong in one of them.
    """
    return make_recipes(load_tables(folder), folder, {})


def load_tables(folder: Path) -> dict[str, Table]:
    """The recipes as they are written, by name; their shape is checked. Raises BuildError."""
    tables = {}
    for path in sorted(folder.glob("*.yaml")):
        table = load(path, shown_as=f"{folder.parent.name}/{folder.name}/{path.name}")
        check_shape(table, path.stem)
        tables[path.stem] = table
    return tables


def make_recipes(
    tables: Mapping[str, Table], folder: Path, patches: Mapping[str, Sequence[Path]]
) -> dict[str, Recipe]:
    """The recipes of `tables`, whose files lie in `folder`; `patches` are applied after those.

    Raises BuildError with file and line for whatever is wrong in one of them.
    """
    recipes = {
        name: _recipe(table, tables, folder / name, patches.get(name, ()))
        for name, table in tables.items()
    }
    for name, table in tables.items():
        _check_names(table, "depends", recipes[name].depends, recipes)
        _check_names(table, "tools", recipes[name].tools, recipes)
    return recipes


def _check_names(
    table: Table, key: str, names: tuple[str, ...], recipes: dict[str, Recipe]
) -> None:
    verb = {"depends": "depends on", "tools": "is built by"}[key]
    for name in names:
        if name not in recipes:
            raise BuildError(
                f"{verb} {name!r}, for which there is no recipe",
                where=table.where(key),
                hint=nearest(name, recipes),
            )


def check_shape(table: Table, stem: str) -> None:
    """Raise BuildError for a key that no recipe has, or keys that do not go together."""
    table.expect(KEYS, REQUIRED)
    if not NAME.match(stem) or table["name"] != stem:
        raise BuildError(
            f"the name {table['name']!r} must be the file's, in lower case letters, digits and +.-",
            where=table.where("name"),
        )
    licences.check(table["licence"], table.where("licence"))
    if table["style"] not in STYLES:
        raise BuildError(
            f"unknown style {table['style']!r}",
            where=table.where("style"),
            hint=nearest(table["style"], STYLES),
        )
    if (table["style"] == "script") != ("build" in table):
        raise BuildError(
            "'build' goes with style script, and style script needs it",
            where=table.where("build", "style"),
        )
    if "sources" in table and "from" in table:
        raise BuildError(
            "a recipe has either 'sources' or 'from'", where=table.where("sources", "from")
        )
    if "target" in table and table["style"] != "cmake":
        raise BuildError("'target' goes with style cmake", where=table.where("target"))
    if "crossed" in table:
        layers.check_entry(table["crossed"])
    directory = table.get("directory", ".")
    if directory.startswith("/") or ".." in directory.split("/"):
        raise BuildError("'directory' must lie inside the source", where=table.where("directory"))


def _recipe(
    table: Table, tables: Mapping[str, Table], folder: Path, patches: Sequence[Path]
) -> Recipe:
    environment = table.get("environment", {})
    for key, value in environment.items():
        if not isinstance(value, str):
            raise BuildError(f"{key!r} must be text", where=environment.where(key))
    own = _files(folder)
    added = [(f"patches/{path.name}", _sha256(path)) for path in patches]
    applied = [path for path, _ in own if path.startswith("patches/")]
    return Recipe(
        name=table["name"],
        version=table["version"],
        licence=table["licence"],
        why=table["why"],
        sources=_sources(table, tables),
        depends=table.texts("depends"),
        tools=table.texts("tools"),
        style=table["style"],
        directory=table.get("directory", "."),
        target=table.get("target", ""),
        options=table.texts("options"),
        environment=tuple(environment.items()),
        before=table.get("before", ""),
        build=table.get("build", ""),
        after=table.get("after", ""),
        remove=table.texts("remove"),
        files=tuple(sorted([*own, *added], key=lambda file: file[0].split("/"))),
        patches=(*applied, *(path for path, _ in added)),
    )


def _sources(table: Table, tables: Mapping[str, Table]) -> tuple[Source, ...]:
    if "from" in table:
        owner = tables.get(table["from"])
        if owner is None:
            raise BuildError(
                f"there is no recipe {table['from']!r}",
                where=table.where("from"),
                hint=nearest(table["from"], tables),
            )
        if "from" in owner:
            raise BuildError(
                f"{table['from']!r} has no sources of its own", where=table.where("from")
            )
        return _sources(owner, tables)
    return listed_sources(table, "sources")


def listed_sources(table: Table, key: str) -> tuple[Source, ...]:
    """The sources that `table` lists under `key`, checked; none if the key is not there."""
    sources = []
    for entry in table.get(key, []):
        if not isinstance(entry, Table):
            raise BuildError("a source is a mapping", where=table.where(key))
        sources.append(read_source(entry))
    return tuple(sources)


def read_source(entry: Table) -> Source:
    """The source that `entry` describes. Raises BuildError with file and line."""
    entry.expect(kinds(SOURCE), required(SOURCE))
    if not SHA256.match(entry["sha256"]):
        raise BuildError("a sha256 is 64 hexadecimal digits", where=entry.where("sha256"))
    if "/" in entry["file"] or entry["file"].startswith("."):
        raise BuildError("'file' is a plain file name", where=entry.where("file"))
    for place in entry.texts("places"):
        if not PLACE.match(place):
            raise BuildError(
                f"not a place: {place!r}",
                where=entry.where("places"),
                hint="a place is https://…, debian:pool/… or wheel:NAME==VERSION",
            )
    return Source(
        entry["sha256"], entry["size"], entry["file"], entry.texts("places"), entry.texts("leave")
    )


def _files(folder: Path) -> tuple[tuple[str, str], ...]:
    if not folder.is_dir():
        return ()
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return tuple((path.relative_to(folder).as_posix(), _sha256(path)) for path in paths)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
