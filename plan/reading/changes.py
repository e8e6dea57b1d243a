"""One table applied to a recipe's table: for overrides.yaml and for a recipe's own variants.

    recipe     options: [--a]    before: x
    entry      add-options: [--b]            build: z
    ─────────────────────────────────────────────────
    laid over  options: [--a, --b]    before: x    build: z

A key replaces the recipe's, `environment` is merged by name, `add-KEY` is appended to the recipe's
value. The result is a table like those that were read from files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plan.errors import BuildError
from plan.reading.keys import RECIPE, kinds
from plan.yamlfile import Table

ADDED = ("depends", "tools", "options", "before", "build", "after", "remove")
ADD = "add-"
# The changes that a recipe has itself: for a tool of the second phase, for a cross build, for the
# image of a person's program.
AS_TOOL = "as-tool"
CROSSED = "crossed"
FOR_APP = "for-app"
VARIANTS = (AS_TOOL, CROSSED, FOR_APP)
# Only the recipe has these: its identity and its variants.
_FIXED = ("name", "style", *VARIANTS)
_KINDS = kinds(RECIPE)
ENTRY_KEYS: Mapping[str, type] = {
    **{key: kind for key, kind in _KINDS.items() if key not in _FIXED},
    **{f"{ADD}{key}": _KINDS[key] for key in ADDED},
}


def check_entry(entry: Table, keys: Mapping[str, type] = ENTRY_KEYS) -> None:
    """Raise BuildError, with file and line, for a key or value that an entry cannot have."""
    entry.expect(keys)
    for key in entry:
        if keys[key] is list and key != "sources":
            entry.texts(key)
    check_environment(entry)


def check_environment(table: Table) -> None:
    """Raise BuildError, with file and line, for what is no variable of a process."""
    environment = table.get("environment", {})
    for name, value in environment.items():
        if not isinstance(value, str):
            raise BuildError(f"{name!r} must be text", where=environment.where(name))
        if not name.isprintable() or not name or {"=", " "} & {*name}:
            raise BuildError(
                f"{name!r} cannot be the name of a variable",
                where=environment.where(name),
                hint="write NAME: VALUE",
            )


def laid_over(recipe: Table, entry: Table) -> Table:
    """The table `recipe` with `entry` applied to it."""
    table = recipe.copied()
    lay_over(table, entry)
    return table


def lay_over(table: Table, entry: Table) -> None:
    """Change `table` as `entry` says."""
    for key, value in entry.items():
        if key == "environment":
            environment = table.get(key, Table(entry.file, entry.line)).copied()
            merge(environment, value)
            table.put(key, environment, entry.where(key))
        elif key in _KINDS:
            table.put(key, value, entry.where(key))
    for key in ADDED:
        if (adding := ADD + key) in entry:
            table.put(key, _added(table.get(key), entry[adding]), entry.where(adding))


def merge(environment: Table, more: Table) -> None:
    """Add the variables of `more` to `environment`; equal names are replaced."""
    for name, value in more.items():
        environment.put(name, value, more.where(name))


def _added(before: Any, more: Any) -> Any:
    if isinstance(more, list):
        return [*(before or []), *more]
    # Both are lines.
    return "".join(text if text.endswith("\n") else text + "\n" for text in (before, more) if text)
