"""Overrides: what one work directory changes of the recipes, without touching them.

    the recipes' tables ───────────────┐
    <workdir>/overrides.yaml ──load────┼──▶ the tables of each phase ──▶ Recipes
    <workdir>/patches/<package>/… ─────┘

    busybox:                     # the package in every phase
      environment: {CFLAGS: -O1}
      add-options: [--more]
      patches: [fix.patch]
    rootfs-from-sysroot:zlib:    # in one
      version: "1.4"
    rootfs-from-sysroot:*:       # all packages of a phase, where nothing else names the variable
      environment: {CFLAGS: -O3}

The order is: recipe, its `crossed` where it is that, its package in every phase, its package in
one. So what is said of every phase can move into the recipe, and all stays as it was. What comes
out are tables like those that were read: every check of a recipe holds for them, and a key that was
changed knows its place here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from plan import layers
from plan.errors import BuildError, nearest
from plan.layers import lay_over, merge
from plan.model import PHASES, Recipe
from plan.recipes import check_shape, load_tables, make_recipes
from plan.yamlfile import Table, load

NAME = "overrides.yaml"
ENTRY_KEYS = {**layers.ENTRY_KEYS, "patches": list}
PATCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*\.patch\Z")


@dataclass(frozen=True)
class Overrides:
    """The checked overrides in `file` of the recipes in `folder`, which are `recipes`."""

    file: Path
    folder: Path
    recipes: Mapping[str, Table]
    table: Table

    @cached_property
    def authored(self) -> dict[str, Recipe]:
        """The recipes as they are written, uncrossed."""
        return make_recipes(self.recipes, self.folder, {})

    def made(self, phase: str, *, crossed: bool) -> dict[str, Recipe]:
        """The recipes of `phase`, as they are where that is `crossed` or is not.

        Raises BuildError for what is no recipe any more.
        """
        if not self.table and not crossed:
            return self.authored
        tables = self.tables(phase, crossed=crossed)
        return make_recipes(tables, self.folder, self.patches(phase))

    def tables(self, phase: str, *, crossed: bool = False) -> dict[str, Table]:
        """The recipes' tables as they are in `phase`."""
        return {name: self._changed(name, phase, crossed) for name in self.recipes}

    def patches(self, phase: str) -> dict[str, list[Path]]:
        """The patches to apply to each package in `phase`, after those of its recipe."""
        return {
            name: [self.patch(name, patch) for entry in entries for patch in entry.texts("patches")]
            for name in self.recipes
            if (entries := self._entries(name, phase))
        }

    def patch(self, package: str, name: str) -> Path:
        """Where the patch `name` of `package` lies."""
        return patch_folder(self.file, package) / name

    @property
    def files(self) -> list[Path]:
        """The file and the patches that it names; none where it changes nothing."""
        named = {
            self.patch(key.rpartition(":")[2], name)
            for key, entry in self.table.items()
            for name in entry.texts("patches")
        }
        return [self.file, *sorted(named)] if self.table else []

    def touched(self, phase: str, packages: Iterable[str]) -> tuple[str, ...]:
        """Those of `packages` that are built by other than their recipe in `phase`."""
        every = f"{phase}:*" in self.table
        return tuple(name for name in packages if every or self._entries(name, phase))

    @cached_property
    def for_every_phase(self) -> list[str]:
        """The packages that are changed in every phase."""
        return [key for key in self.table if ":" not in key]

    def _entries(self, name: str, phase: str) -> list[Table]:
        return [self.table[key] for key in (name, f"{phase}:{name}") if key in self.table]

    def _changed(self, name: str, phase: str, crossed: bool) -> Table:
        entries = self._entries(name, phase)
        if crossed and "crossed" in self.recipes[name]:
            entries.insert(0, self.recipes[name]["crossed"])
        every = self.table.get(f"{phase}:*")
        if not entries and every is None:
            return self.recipes[name]
        table = self.recipes[name].copied()
        for entry in entries:
            lay_over(table, entry)
        if every is not None:
            environment = every["environment"].copied()
            if "environment" in table:
                merge(environment, table["environment"])
            table.put("environment", environment, every.where("environment"))
        check_shape(table, name)
        return table


def load_overrides(folder: Path, file: Path | None) -> Overrides:
    """The overrides in `file`, none where there is no such file, of the recipes in `folder`.

    Raises BuildError with file and line for an unknown package, phase, key or patch.
    """
    recipes = load_tables(folder)
    if file is None or not file.exists():
        return Overrides(file or folder / NAME, folder, recipes, Table(NAME, 1))
    table = load(file, shown_as=NAME)
    for key, entry in table.items():
        _check_target(table, key, recipes)
        if not isinstance(entry, Table):
            raise BuildError(f"{key!r} must hold a mapping (key: value)", where=table.where(key))
        package = key.rpartition(":")[2]
        _check_entry(entry, package)
        if package != "*":
            _check_patches(entry, package, file, folder)
    for key in table:
        phase, _, package = key.rpartition(":")
        if phase and package in table:
            _check_twice(table[package], table[key])
    return Overrides(file, folder, recipes, table)


def patch_folder(file: Path, package: str) -> Path:
    """Where the patches of `package` lie that the overrides in `file` name."""
    return file.parent / "patches" / package


def _check_target(table: Table, key: str, recipes: Mapping[str, Table]) -> None:
    phase, colon, package = key.rpartition(":")
    if colon and phase not in PHASES:
        raise BuildError(
            f"there is no phase {phase!r}", where=table.where(key), hint=nearest(phase, PHASES)
        )
    if package not in recipes and not (colon and package == "*"):
        hint = nearest(package, recipes)
        raise BuildError(f"there is no recipe {package!r}", where=table.where(key), hint=hint)


def _check_entry(entry: Table, package: str) -> None:
    if package == "*":
        # Every package has an environment, and nothing else in common.
        entry.expect({"environment": dict}, ("environment",))
    layers.check_entry(entry, ENTRY_KEYS)


def _check_patches(entry: Table, package: str, file: Path, folder: Path) -> None:
    lying = patch_folder(file, package)
    for name in entry.texts("patches"):
        where = entry.where("patches")
        if not PATCH.match(name):
            hint = "it is the plain name of a file and ends in .patch"
            raise BuildError(f"a patch cannot be called {name!r}", where=where, hint=hint)
        if not (lying / name).is_file():
            known = [path.name for path in lying.glob("*.patch")]
            hint = nearest(name, known) if known else f"it has to lie in {lying}"
            raise BuildError(f"there is no patch {name!r}", where=where, hint=hint)
        if (folder / package / "patches" / name).exists():
            hint = f"give {lying / name} another name"
            raise BuildError(f"the recipe has a patch {name!r}", where=where, hint=hint)
    _check_twice(entry, entry)


def _check_twice(first: Table, second: Table) -> None:
    earlier = set() if first is second else {*first.texts("patches")}
    for name in second.texts("patches"):
        if name in earlier:
            raise BuildError(
                f"the patch {name!r} would be applied twice", where=second.where("patches")
            )
        earlier.add(name)
