"""Overrides: changes to the recipes for one work directory, without editing the recipes.

    the recipes' tables ───────────────┐
    <workdir>/overrides.yaml ──load────┼──▶ the tables of each phase ──▶ Recipes
    <workdir>/patches/<package>/… ─────┘

    busybox:                     # the package in every phase
      environment: {CFLAGS: -O1}
      add-options: [--more]
      patches: [fix.patch]
    rootfs-from-sysroot:zlib:    # in one phase
      version: "1.4"
    rootfs-from-sysroot:*:       # all packages of a phase, unless another entry sets the variable
      environment: {CFLAGS: -O3}

The order is: the recipe, its variants (`as-tool`, `crossed`, `for-app`), the package's entry for
every phase, its entry for one phase. So an entry for every phase can move into the recipe without
changing the plan. The results are tables like those that were read: every check of a recipe applies
to them, and an error in a changed key names its place in overrides.yaml.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from plan.errors import BuildError, nearest
from plan.model import PHASES, Recipe
from plan.reading import changes
from plan.reading.changes import lay_over, merge
from plan.reading.data import Data
from plan.reading.recipes import check_shape, load_tables, make_recipes
from plan.yamlfile import Table, load

NAME = "overrides.yaml"
ENTRY_KEYS = {**changes.ENTRY_KEYS, "patches": list}
PATCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*\.patch\Z")


@dataclass(frozen=True)
class Overrides:
    """The checked overrides in `file`, for the recipes `recipes` in `data`."""

    file: Path
    data: Data
    recipes: Mapping[str, Table]
    table: Table

    @cached_property
    def authored(self) -> dict[str, Recipe]:
        """The recipes as they are written: no overrides, no variant."""
        return make_recipes(self.recipes, self.data, {})

    def made(self, phase: str, *variants: str) -> dict[str, Recipe]:
        """The recipes of `phase`, with overrides; `variants`: the changes.VARIANTS that apply.

        Raises BuildError if an override makes a recipe invalid.
        """
        if not self.table and not variants:
            return self.authored
        tables = self.tables(phase, *variants)
        return make_recipes(tables, self.data, self.patches(phase))

    def tables(self, phase: str, *variants: str) -> dict[str, Table]:
        """The recipes' tables in `phase`, with overrides; `variants`: as for `made`."""
        return {name: self._changed(name, phase, variants) for name in self.recipes}

    def patches(self, phase: str) -> dict[str, list[Path]]:
        """The patches to apply to each package in `phase`, after those of its recipe."""
        return {
            name: [self.patch(name, patch) for entry in entries for patch in entry.texts("patches")]
            for name in self.recipes
            if (entries := self._entries(name, phase))
        }

    def patch(self, package: str, name: str) -> Path:
        """The path of the patch `name` of `package`."""
        return patch_directory(self.file, package) / name

    @property
    def files(self) -> list[Path]:
        """The file and the patches that it names; empty if it changes nothing."""
        named = {
            self.patch(key.rpartition(":")[2], name)
            for key, entry in self.table.items()
            for name in entry.texts("patches")
        }
        return [self.file, *sorted(named)] if self.table else []

    def touched(self, phase: str, packages: Iterable[str]) -> tuple[str, ...]:
        """Those of `packages` that overrides change in `phase`."""
        every = f"{phase}:*" in self.table
        return tuple(name for name in packages if every or self._entries(name, phase))

    @cached_property
    def for_every_phase(self) -> list[str]:
        """The packages with an entry for every phase."""
        return [key for key in self.table if ":" not in key]

    def _entries(self, name: str, phase: str) -> list[Table]:
        return [self.table[key] for key in (name, f"{phase}:{name}") if key in self.table]

    def _changed(self, name: str, phase: str, variants: Sequence[str]) -> Table:
        recipe = self.recipes[name]
        own = [recipe[variant] for variant in variants if variant in recipe]
        entries = [*own, *self._entries(name, phase)]
        every = self.table.get(f"{phase}:*")
        if not entries and every is None:
            return recipe
        table = recipe.copied()
        for entry in entries:
            lay_over(table, entry)
        if every is not None:
            environment = every["environment"].copied()
            if "environment" in table:
                merge(environment, table["environment"])
            table.put("environment", environment, every.where("environment"))
        check_shape(table, name, self.data.licenses)
        return table


def load_overrides(data: Data, file: Path | None) -> Overrides:
    """The overrides in `file` for the recipes in `data`; none if `file` does not exist.

    Raises BuildError with file and line for an unknown package, phase, key or patch.
    """
    recipes = load_tables(data)
    # A link to nothing is no file that is missing: load() says so.
    if file is None or not os.path.lexists(file):
        return Overrides(file or data.own / NAME, data, recipes, Table(NAME, 1))
    table = load(file, shown_as=NAME)
    for key, entry in table.items():
        _check_target(table, key, recipes)
        if not isinstance(entry, Table):
            raise BuildError(f"{key!r} must contain a mapping (key: value)", where=table.where(key))
        package = key.rpartition(":")[2]
        _check_entry(entry, package)
        if package != "*":
            _check_patches(entry, package, file, data.files_of(package))
    for key in table:
        phase, _, package = key.rpartition(":")
        if phase and package in table:
            _check_twice(table[package], table[key])
    return Overrides(file, data, recipes, table)


def patch_directory(file: Path, package: str) -> Path:
    """The directory of the patches of `package` that the overrides in `file` name."""
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
        # Only `environment` is valid for every package.
        entry.expect({"environment": dict}, ("environment",))
    changes.check_entry(entry, ENTRY_KEYS)


def _check_patches(entry: Table, package: str, file: Path, own: Path) -> None:
    lying = patch_directory(file, package)
    for name in entry.texts("patches"):
        where = entry.where("patches")
        if not PATCH.match(name):
            hint = "use a plain file name that ends in .patch"
            raise BuildError(f"{name!r} is not a valid name of a patch", where=where, hint=hint)
        if not (lying / name).is_file():
            if (lying / name).exists():
                raise BuildError("this is no file", where=os.fspath(lying / name))
            known = [path.name for path in lying.glob("*.patch")]
            hint = nearest(name, known) if known else f"put it into {lying}"
            raise BuildError(f"there is no patch {name!r}", where=where, hint=hint)
        if (own / "patches" / name).exists():
            hint = f"give {lying / name} another name"
            raise BuildError(f"the recipe already has a patch {name!r}", where=where, hint=hint)
    _check_twice(entry, entry)


def _check_twice(first: Table, second: Table) -> None:
    earlier = set() if first is second else {*first.texts("patches")}
    for name in second.texts("patches"):
        if name in earlier:
            raise BuildError(
                f"the patch {name!r} would be applied twice", where=second.where("patches")
            )
        earlier.add(name)
