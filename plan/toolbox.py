"""Tools: what runs in the build of each recipe, and what of it the seed has not.

plan/toolbox.yaml, a recipe's style, its `tools` ──load_tools──▶ packages, by recipe
    second phase: all of them are in the build root
    first phase:  ──lacking_tools──▶ only what the seed lacks; the rest is in the seed
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from plan import graph
from plan.errors import BuildError, nearest
from plan.model import Recipe
from plan.recipes import STYLES
from plan.yamlfile import Table, load


def load_tools(path: Path, recipes: Mapping[str, Recipe]) -> dict[str, tuple[str, ...]]:
    """What runs in the build of each recipe: by plan/toolbox.yaml, its style and itself."""
    table = load(path, shown_as="plan/toolbox.yaml")
    table.expect(dict.fromkeys(("every", *STYLES), list), ("every",))
    for key in table:
        check_packages(table, key, recipes)
    every = table.texts("every")
    return {
        name: (*every, *table.texts(recipe.style), *recipe.tools)
        for name, recipe in recipes.items()
    }


def lacking_tools(
    toolbox: Path, recipes: Mapping[str, Recipe], lacks: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    """Of each recipe, what of its tools the seed lacks: the recipes that make it, in order.

    lacks: as in `plan.toolchain.Tools`; if that is nothing, so is the answer. Raises BuildError
    if there is no such recipe.
    """
    if not lacks:
        return {}
    tools = load_tools(toolbox, recipes)
    depends = {name: recipe.depends for name, recipe in recipes.items()}
    for tool, maker in lacks.items():
        if maker not in depends:
            raise BuildError(
                f"the seed lacks {tool}, and there is no recipe {maker!r}",
                where="plan/seeds/",
                hint=nearest(maker, depends),
            )

    def made(name: str) -> list[str]:
        # What makes a tool does without it.
        makers = (lacks[tool] for tool in tools[name] if tool in lacks)
        return graph.order((maker for maker in makers if maker != name), depends)

    return {name: tuple(made(name)) for name in tools}


def check_packages(table: Table, key: str, recipes: Collection[str]) -> None:
    """Raise BuildError if what `table` lists under `key` is no recipe."""
    for name in table.texts(key):
        if name not in recipes:
            raise BuildError(
                f"there is no recipe {name!r}", where=table.where(key), hint=nearest(name, recipes)
            )
