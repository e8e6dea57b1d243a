"""Tools: the packages that run in the build of each recipe, and those that the seed lacks.

plan/seeds/<seed>.yaml ──seed_tools──▶ the tools that the seed has, lacks, and cannot have
plan/toolbox.yaml, a recipe's style, its `tools` ──load_tools──▶ packages, by recipe
    second phase: all of them are in the build root
    first phase:  ──lacking_tools──▶ only what the seed lacks; the rest is in the seed
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from plan import graph
from plan.checks import ALPINE, DEBIAN, SELF
from plan.compiling.styles import STYLES
from plan.compiling.toolchain import Tools
from plan.errors import BuildError, nearest
from plan.model import Recipe
from plan.reading.data import Directory
from plan.seeding.debian import load_debian
from plan.seeding.tables import compiler
from plan.yamlfile import Table, load

if TYPE_CHECKING:
    from plan.seeding.alpine import AlpineSeed

MADE = "made"
"""The key of the tools that no seed has."""
SEED = "seed-"
"""How the recipe begins that builds a tool for the machine that builds."""


def seed_tools(directory: Directory, seed: str, arch: str) -> Tools:
    """The tools of the seed `seed` on machines of `arch`, from its file in `directory`."""
    if seed == SELF:
        return Tools(None)
    if seed == ALPINE:
        from plan.seeding.alpine import load_alpine

        return tools_of(load_alpine(directory / "alpine.yaml", arch))
    if seed == DEBIAN:
        debian = load_debian(directory / "debian.yaml", arch)
        return Tools(debian.compiler, missing=dict(debian.missing))
    # None is named: a root like the seed debian.
    return Tools(compiler(load(directory / "debian.yaml")))


def tools_of(alpine: AlpineSeed) -> Tools:
    """The tools of the seed `alpine`, or of a root that was fitted with parts of it."""
    return Tools(
        alpine.compiler, dict(alpine.makes), dict(alpine.makes_crossed), dict(alpine.missing)
    )


def load_tools(path: Path, recipes: Mapping[str, Recipe]) -> dict[str, tuple[str, ...]]:
    """The tools of each recipe: from plan/toolbox.yaml, its style and its `tools`."""
    table = _load(path, recipes)
    every = table.texts("every")
    return {
        name: (*every, *table.texts(recipe.style), *recipe.tools)
        for name, recipe in recipes.items()
    }


def load_image_tools(path: Path, recipes: Mapping[str, Recipe]) -> tuple[str, ...]:
    """The tools that make the image of a crossed product."""
    return _load(path, recipes).texts("image")


def _load(path: Path, recipes: Collection[str]) -> Table:
    table = load(path, shown_as="plan/toolbox.yaml")
    table.expect(dict.fromkeys(("every", "image", MADE, *STYLES), list), ("every",))
    for key in table:
        check_packages(table, key, recipes)
    return table


def lacking_tools(
    toolbox: Path,
    recipes: Mapping[str, Recipe],
    seed: Tools,
    wanted: Iterable[str],
    *,
    crossed: bool = False,
) -> dict[str, tuple[str, ...]]:
    """Recipe → the recipes that build the tools that the seed lacks, in order.

    crossed: whether they build for another architecture.

    It is empty if the seed lacks nothing. Raises BuildError if a tool has no recipe, or if one of
    the packages `wanted` needs a tool that this seed cannot have.
    """
    of_every_seed = {name: (name.removeprefix(SEED),) for name in _made(toolbox, recipes, seed)}
    makes = {**seed.makes, **(seed.makes_crossed if crossed else {}), **of_every_seed}
    if not makes and not seed.missing:
        return {}
    tools, makers = load_tools(toolbox, recipes), list(makes)
    reasons = unbuildable(toolbox, recipes, seed)
    for name in wanted:
        if name in reasons:
            raise BuildError(
                f"{name} {reasons[name]}",
                where="plan/seeds/",
                hint="build on another architecture: arch= names the target. Such an image of "
                "set=full can build itself; set=base has no such packages",
            )
    depends = {name: recipe.depends for name, recipe in recipes.items()}
    for maker in makers:
        if maker not in depends:
            raise BuildError(
                f"the seed lacks {', '.join(makes[maker])}, and there is no recipe {maker!r}",
                where="plan/seeds/",
                hint=nearest(maker, depends),
            )

    def made(name: str) -> list[str]:
        # The recipe that builds a missing tool must not depend on that tool, or on a later one.
        above = makers[: makers.index(name)] if name in makers else makers
        return graph.order((maker for maker in above if {*makes[maker]} & {*tools[name]}), depends)

    return {name: tuple(made(name)) for name in tools}


def _made(toolbox: Path, recipes: Mapping[str, Recipe], seed: Tools) -> tuple[str, ...]:
    """The recipes of the tools that `seed` lacks as every seed does; a system of ours has them."""
    return _load(toolbox, recipes).texts(MADE) if seed.compiler else ()


def unbuildable(toolbox: Path, recipes: Mapping[str, Recipe], seed: Tools) -> dict[str, str]:
    """Recipe that needs a tool which does not exist for `seed` → the reason."""
    if not seed.missing:
        return {}
    tools = load_tools(toolbox, recipes)
    return {
        name: f"needs {tool}, which the seed does not have: {seed.missing[tool]}"
        for name in recipes
        for tool in sorted({*tools[name]} & seed.missing.keys())
    }


def check_packages(table: Table, key: str, recipes: Collection[str]) -> None:
    """Raise BuildError if a name that `table` lists under `key` is not a recipe."""
    for name in table.texts(key):
        if name not in recipes:
            raise BuildError(
                f"there is no recipe {name!r}", where=table.where(key), hint=nearest(name, recipes)
            )
