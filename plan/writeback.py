"""Overrides become recipes: what is to be written where, found out before anything is written.

overrides of every phase ──▶ plan/recipes/<name>.yaml, key by key
their patches ─────────────▶ plan/recipes/<name>/patches/
those of one phase ────────▶ stay: a recipe is the same in every phase
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from plan.errors import BuildError
from plan.layers import laid_over
from plan.overrides import Overrides
from plan.recipes import KEYS
from plan.rewrite import remove, set_value


@dataclass(frozen=True)
class WriteBack:
    """texts: the new text of each file of the recipes' folder, by its path there. keys: what was
    changed in it. patches: the new place of each patch, there too. rest: the text of what stays of
    the overrides, and its entries.
    """

    texts: Mapping[str, str]
    keys: Mapping[str, list[str]]
    patches: Mapping[Path, str]
    rest: str
    left: list[str]


def written_back(overrides: Overrides) -> WriteBack:
    """What applying `overrides` to the recipes means. Raises BuildError if it cannot be done."""
    texts, keys, patches = {}, {}, {}
    rest = _read(overrides.file)
    for name in overrides.for_every_phase:
        entry, recipe = overrides.table[name], overrides.recipes[name]
        file = f"{name}.yaml"
        wanted, text = laid_over(recipe, entry), _read(overrides.folder / file)
        keys[file] = [key for key in KEYS if wanted.get(key) != recipe.get(key)]
        for key in keys[file]:
            text = set_value(text, (key,), wanted[key], tuple(KEYS))
        if keys[file]:
            texts[file] = text
        _check_order(overrides, name, entry.texts("patches"))
        for patch in entry.texts("patches"):
            patches[overrides.patch(name, patch)] = f"{name}/patches/{patch}"
        rest = remove(rest, (name,))
    left = [key for key in overrides.table if key not in overrides.for_every_phase]
    return WriteBack(texts, keys, patches, rest, left)


def _check_order(overrides: Overrides, name: str, added: tuple[str, ...]) -> None:
    """A recipe's patches are applied in the order of their names: these must be the last."""
    folder = overrides.folder / name / "patches"
    own = sorted(path.name for path in folder.glob("*")) if folder.is_dir() else []
    if (together := [*own, *added]) != sorted(together):
        raise BuildError(
            f"the patches of {name} would be applied in another order: {', '.join(together)}",
            where=overrides.table[name].where("patches"),
            hint="give them names that sort like this",
        )


def _read(path: Path) -> str:
    # Not read_text(), which would change the ends of lines.
    return path.read_bytes().decode()
