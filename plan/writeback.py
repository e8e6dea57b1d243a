"""Turns overrides into recipes. All changes are computed before any file is written.

overrides of every phase ──▶ plan/recipes/<name>.yaml, key by key
their patches ─────────────▶ plan/recipes/<name>/patches/
overrides of one phase ────▶ stay: a recipe is the same in every phase
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
    """texts: the new text of each changed file, by its path in the recipes' directory. keys: the
    changed keys of each file. patches: the new path of each patch. rest: the text of the remaining
    overrides. left: the names of their entries.
    """

    texts: Mapping[str, str]
    keys: Mapping[str, list[str]]
    patches: Mapping[Path, str]
    rest: str
    left: list[str]


def written_back(overrides: Overrides) -> WriteBack:
    """The changes that move `overrides` into the recipes. Raises BuildError if it cannot."""
    texts, keys, patches = {}, {}, {}
    rest = _read(overrides.file)
    for name in overrides.for_every_phase:
        entry, recipe = overrides.table[name], overrides.recipes[name]
        file = f"{name}.yaml"
        wanted, text = laid_over(recipe, entry), _read(overrides.directory / file)
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
    """Check that the new patches sort last: patches are applied in the order of their names."""
    directory = overrides.directory / name / "patches"
    own = sorted(path.name for path in directory.glob("*")) if directory.is_dir() else []
    if (together := [*own, *added]) != sorted(together):
        raise BuildError(
            f"the patches of {name} would be applied in another order: {', '.join(together)}",
            where=overrides.table[name].where("patches"),
            hint="rename them so that they sort in this order",
        )


def _read(path: Path) -> str:
    # read_text() would change the line endings.
    return path.read_bytes().decode()
