"""Loads and checks the recipes; all later code can trust the result.

recipes/<name>.yaml ─▶ table ─┬─▶ Recipe      (in plan/ or in a layer: data.py says where)
recipes/<name>/…             ─┘   (its files: patches, configurations, our own sources)

Between the two, `plan.reading.overrides` may change the table and add patches.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from plan import graph
from plan.compiling.styles import MAKE_VARIABLES, STYLES, VARIABLE
from plan.errors import BuildError, nearest
from plan.model import Recipe, Source
from plan.reading import changes, licenses
from plan.reading.data import Data
from plan.reading.folder import folder_source
from plan.reading.keys import RECIPE, SOURCE, kinds, required
from plan.reading.patch_series import patch_series
from plan.reading.recipe_files import content, files, tree_recipe
from plan.urls import CREDENTIALS, KNOWN, URL
from plan.yamlfile import Table, load

NAME = re.compile(r"[a-z0-9][a-z0-9+.-]*\Z")
SHA256 = re.compile(r"[0-9a-f]{64}\Z")
INITRAMFS = "initramfs.cpio"
"""What a kernel's build has in /input besides its sources."""
SNAPSHOT = re.compile(r"\d{8}T\d{6}Z\Z")
KEYS, REQUIRED = kinds(RECIPE), required(RECIPE)


def load_recipes(data: Data) -> dict[str, Recipe]:
    """All recipes in `data`, by name: this project's, sorted, then each layer's.

    Raises BuildError with file and line for any error in one of them.
    """
    return make_recipes(load_tables(data), data, {})


def load_tables(data: Data) -> dict[str, Table]:
    """The recipes as they are written, by name. Their keys are checked. Raises BuildError."""
    tables = {}
    for name, path in data.recipes.items():
        tables[name] = load(path, shown_as=data.shown(path))
        check_shape(tables[name], name, data.licenses)
    tables |= {name: tree_recipe(name, layer) for name, layer in data.trees.items()}
    return tables | ({data.app.name: data.app.table} if data.app else {})


def make_recipes(
    tables: Mapping[str, Table], data: Data, patches: Mapping[str, Sequence[Path]]
) -> dict[str, Recipe]:
    """The recipes of `tables`, whose files are in `data`; `patches` are applied after theirs.

    Raises BuildError with file and line for any error in one of them.
    """
    resources = _resources(tables)
    recipes = {
        name: _recipe(table, tables, data, patches.get(name, ()), resources)
        for name, table in tables.items()
    }
    for name, table in tables.items():
        _check_names(table, "depends", recipes[name].depends, recipes)
        _check_names(table, "tools", recipes[name].tools, recipes)
    _check_cycles(data, tables, recipes)
    return recipes


def _resources(tables: Mapping[str, Table]) -> str:
    """The key `resources` of the only recipe that has it; "" if none has."""
    found = [table for table in tables.values() if "resources" in table]
    for place, table in enumerate(found):
        where = table.where("resources")
        if place:
            message = f"only one recipe can have 'resources': {found[0]['name']} has it"
            raise BuildError(message, where=where)
        if not table["resources"].startswith("/usr/"):
            raise BuildError("'resources' must be below /usr", where=where)
    return found[0]["resources"] if found else ""


def _check_names(
    table: Table, key: str, names: tuple[str, ...], recipes: dict[str, Recipe]
) -> None:
    verb = {"depends": "depends on", "tools": "is built by"}[key]
    for name in names:
        if name not in recipes:
            raise BuildError(
                f"{verb} {name!r}, which has no recipe",
                where=table.where(key),
                hint=nearest(name, recipes),
            )


def _check_cycles(data: Data, tables: Mapping[str, Table], recipes: Mapping[str, Recipe]) -> None:
    try:
        graph.order(recipes, {name: recipe.depends for name, recipe in recipes.items()})
    except graph.Cycle as error:
        # Without its layers, this project has no cycle.
        guilty = [name for name in error.names if data.layer_of(name)] or error.names
        error.where = tables[guilty[0]].where("depends")
        raise


def check_shape(table: Table, stem: str, words: licenses.Words) -> None:
    """Raise BuildError for an unknown key, or for keys that exclude each other.

    words: the SPDX identifiers of layers.
    """
    table.expect(KEYS, REQUIRED)
    if not NAME.match(stem) or table["name"] != stem:
        raise BuildError(
            f"the name {table['name']!r} must be the file's, in lower case letters, digits and +.-",
            where=table.where("name"),
        )
    licenses.check(table["license"], table.where("license"), words)
    if table["style"] not in STYLES:
        raise BuildError(
            f"unknown style {table['style']!r}",
            where=table.where("style"),
            hint=nearest(table["style"], STYLES),
        )
    if (table["style"] == "script") != ("build" in table):
        raise BuildError(
            "'build' is for style script, which needs it",
            where=table.where("build", "style"),
        )
    if not table["version"] or not table["version"].isprintable():
        raise BuildError(
            "'version' must be one line of printable text", where=table.where("version")
        )
    if "sources" in table and "from" in table:
        raise BuildError(
            "a recipe has either 'sources' or 'from'", where=table.where("sources", "from")
        )
    if "target" in table and table["style"] != "cmake":
        raise BuildError("'target' is only for style cmake", where=table.where("target"))
    if "variables" in table and table["style"] != "make":
        raise BuildError("'variables' is only for style make", where=table.where("variables"))
    if (table["style"] == "crystal") != ("programs" in table):
        raise BuildError(
            "'programs' is for style crystal, which needs it",
            where=table.where("programs", "style"),
        )
    for variant in changes.VARIANTS:
        if variant in table:
            changes.check_entry(table[variant])
    directory = table.get("directory", ".")
    if directory.startswith("/") or ".." in directory.split("/"):
        raise BuildError("'directory' must be inside the source", where=table.where("directory"))
    for key in ("directory", "options"):
        if table["style"] == "script" and table.get(key):
            raise BuildError(f"{key!r} is not for style script", where=table.where(key))


def _recipe(
    table: Table,
    tables: Mapping[str, Table],
    data: Data,
    patches: Sequence[Path],
    resources: str,
) -> Recipe:
    recipe_files = files(data, table["name"])
    environment = table.get("environment", {})
    changes.check_environment(table)
    own = [(path, hashlib.sha256(content(each)).hexdigest()) for path, each in recipe_files.items()]
    added = [(f"patches/{path.name}", _sha256(path)) for path in patches]
    applied = patch_series(recipe_files)
    return Recipe(
        name=table["name"],
        version=table["version"],
        license=table["license"],
        description=table["description"],
        sources=_sources(table, tables, data),
        depends=table.texts("depends"),
        tools=table.texts("tools"),
        style=table["style"],
        directory=table.get("directory", "."),
        target=table.get("target", ""),
        options=tuple(_with_resources(each, resources) for each in table.texts("options")),
        options_at=table.where("options" if "options" in table else "variables"),
        variables=table.texts("variables") if "variables" in table else MAKE_VARIABLES,
        programs=tuple(table.mapping("programs").items()),
        environment=tuple(environment.items()),
        before=table.get("before", ""),
        build=table.get("build", ""),
        after=table.get("after", ""),
        remove=table.texts("remove"),
        files=tuple(sorted([*own, *added], key=lambda file: file[0].split("/"))),
        patches=(*applied, *(path for path, _ in added)),
        devel=table.texts("devel"),
        file=table.file,
        resources=table.get("resources", ""),
        folder=_folder(table, data),
    )


def _sources(table: Table, tables: Mapping[str, Table], data: Data) -> tuple[Source, ...]:
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
        return _sources(owner, tables, data)
    folder = _folder(table, data)
    found = tuple(
        folder_source(Path(folder), table["name"], entry.where("folder"), entry.texts("exclude"))
        if _is_folder(entry)
        else _listed(table, "sources", entry, first=number == 0)
        for number, entry in enumerate(table.get("sources", []))
    )
    _check_files(table, found)
    return found


def _check_files(table: Table, sources: Sequence[Source]) -> None:
    """Raise BuildError if two of `sources` are one file in /input, where the first one is not."""
    taken = {INITRAMFS}
    for number, source in enumerate(sources[1:], 1):
        if source.file in taken:
            entry = table["sources"][number]
            raise BuildError(
                f"there is another {source.file} in /input",
                where=entry.where("file" if "file" in entry else "folder"),
                hint="'file' is only its name there: give one of them another",
            )
        taken.add(source.file)


def _is_folder(entry: object) -> bool:
    return isinstance(entry, Table) and "folder" in entry


def _with_resources(option: str, resources: str) -> str:
    """`option` with the value of $RESOURCES; plan/compiling/styles.py gives the other variables."""
    return VARIABLE.sub(
        lambda found: resources if "RESOURCES" in found.groups() else found[0], option
    )


def _folder(table: Table, data: Data) -> str:
    """The path of the source of `table` that is a folder, or "". Raises BuildError."""
    found: list[Table] = [entry for entry in table.get("sources", []) if _is_folder(entry)]
    for entry in found:
        entry.expect({"folder": str, "exclude": list})
    if found[1:]:
        where = found[1].where("folder")
        raise BuildError("a recipe has one folder at most", where=where)
    return str(data.folder(table["name"], found[0]["folder"])) if found else ""


def listed_sources(table: Table, key: str) -> tuple[Source, ...]:
    """The sources that `table` lists under `key`, checked; none if the key is not there."""
    return tuple(
        _listed(table, key, entry, first=number == 0)
        for number, entry in enumerate(table.get(key, []))
    )


def _listed(table: Table, key: str, entry: object, *, first: bool) -> Source:
    if not isinstance(entry, Table):
        raise BuildError("a source must be a mapping", where=table.where(key))
    source = read_source(entry)
    _check_place(entry, first=first)
    return source


def _check_place(entry: Table, *, first: bool) -> None:
    """Raise BuildError for a source that cannot be unpacked or applied as its `entry` says."""
    for name in ("into", "patch"):
        if first and name in entry:
            raise BuildError(
                f"{name!r} is not for the first source, which is /source itself",
                where=entry.where(name),
            )
    if "into" in entry and "patch" in entry:
        raise BuildError("a source is unpacked or applied, not both", where=entry.where("patch"))
    parts = entry.get("into", ".").split("/")
    if "into" in entry and {"", ".", ".."} & {*parts}:
        raise BuildError("'into' must be a directory inside the source", where=entry.where("into"))


def read_source(entry: Table) -> Source:
    """The source that `entry` describes. Raises BuildError with file and line."""
    entry.expect(kinds(SOURCE), required(SOURCE))
    if not SHA256.match(entry["sha256"]):
        raise BuildError(
            "a sha256 must be 64 hexadecimal digits in lower case",
            where=entry.where("sha256"),
            hint=f"this one has {len(entry['sha256'])} characters",
        )
    if entry["size"] < 0:
        raise BuildError("a size cannot be negative", where=entry.where("size"))
    if not entry["file"] or "/" in entry["file"] or entry["file"].startswith("."):
        raise BuildError("'file' must be a plain file name", where=entry.where("file"))
    for url in entry.texts("urls"):
        if not URL.fullmatch(url):
            raise BuildError(
                f"not a URL: {url!r}",
                where=entry.where("urls"),
                hint=KNOWN,
            )
        if CREDENTIALS.match(url):
            raise BuildError(
                "a password in a URL would be in every product",
                where=entry.where("urls"),
                hint="remove it; ~/.netrc may hold it",
            )
    snapshot = entry.get("snapshot", "")
    if snapshot and not SNAPSHOT.match(snapshot):
        raise BuildError(
            f"not a time of snapshot.debian.org: {snapshot!r}",
            where=entry.where("snapshot"),
            hint="a time is written 20250801T000000Z",
        )
    return Source(
        entry["sha256"],
        entry["size"],
        entry["file"],
        entry.texts("urls"),
        entry.texts("exclude"),
        snapshot,
        entry.get("into", ""),
        entry.get("patch", False),
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
