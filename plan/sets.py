"""What is built as a whole, and what builds it: plan/sets.yaml and plan/toolbox.yaml, checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from plan.errors import BuildError, nearest
from plan.keys import INITRAMFS, SET, kinds, required
from plan.model import PHASES, Initramfs, Recipe
from plan.recipes import STYLES
from plan.yamlfile import Table, load


@dataclass(frozen=True)
class Set:
    """A named choice of packages, and which of their trees the initramfs holds."""

    name: str
    phase: str
    packages: tuple[str, ...]
    leave: tuple[str, ...]
    """Globs of what the products do not hold, though artifacts do."""
    root: bool
    """Whether the image has a partition that holds the packages, or the initramfs is all."""
    initramfs: Initramfs


def load_tools(path: Path, recipes: Mapping[str, Recipe]) -> dict[str, tuple[str, ...]]:
    """What runs in the build of each recipe: by plan/toolbox.yaml, its style and itself."""
    table = load(path, shown_as="plan/toolbox.yaml")
    table.expect(dict.fromkeys(("every", *STYLES), list), ("every",))
    for key in table:
        _check_packages(table, key, recipes)
    every = table.texts("every")
    return {
        name: (*every, *table.texts(recipe.style), *recipe.tools)
        for name, recipe in recipes.items()
    }


def load_set(path: Path, name: str, recipes: Collection[str]) -> Set:
    """The set `name` of plan/sets.yaml. Raises BuildError for an unknown package in it."""
    sets = load(path, shown_as="plan/sets.yaml")
    if name not in sets:
        raise BuildError(f"unknown set {name!r}", where="plan/sets.yaml", hint=nearest(name, sets))
    table: Table = sets[name]
    table.expect(kinds(SET), required(SET))
    inside: Table = table["initramfs"]
    inside.expect(kinds(INITRAMFS), required(INITRAMFS))
    if table["phase"] not in PHASES:
        raise BuildError(
            f"there is no phase {table['phase']!r}",
            where=table.where("phase"),
            hint=nearest(table["phase"], PHASES),
        )
    _check_packages(table, "packages", recipes)
    _check_packages(inside, "packages", recipes)
    initramfs = Initramfs(inside.texts("packages"), inside.texts("leave"))
    return Set(
        name=name,
        phase=table["phase"],
        packages=table.texts("packages"),
        leave=table.texts("leave"),
        root=table.get("root", False),
        initramfs=initramfs,
    )


def _check_packages(table: Table, key: str, recipes: Collection[str]) -> None:
    for name in table.texts(key):
        if name not in recipes:
            raise BuildError(
                f"there is no recipe {name!r}", where=table.where(key), hint=nearest(name, recipes)
            )
