"""Turns overrides into recipes. All changes are computed before any file is written.

overrides of every phase ──▶ recipes/<name>.yaml, key by key (in plan/ or in a layer)
their patches ─────────────▶ recipes/<name>/patches/
overrides of one phase ────▶ stay: a recipe is the same in every phase
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from plan.errors import BuildError
from plan.reading.changes import laid_over
from plan.reading.overrides import Overrides
from plan.reading.patch_series import DIRECTORY, SERIES
from plan.reading.recipes import KEYS
from plan.writing.rewrite import remove, set_value, text_of


@dataclass(frozen=True)
class WriteBack:
    """texts: the new text of each changed recipe. keys: its changed keys. patches: the new path of
    each patch. rest: the text of the remaining overrides. left: the names of their entries.
    """

    texts: Mapping[Path, str]
    keys: Mapping[Path, list[str]]
    patches: Mapping[Path, Path]
    rest: str
    left: list[str]


def written_back(overrides: Overrides) -> WriteBack:
    """The changes that move `overrides` into the recipes. Raises BuildError if it cannot."""
    texts, keys, patches = {}, {}, {}
    rest = text_of(overrides.file)
    for name in overrides.for_every_phase:
        entry, recipe = overrides.table[name], overrides.recipes[name]
        file = _recipe(overrides, name)
        wanted, text = laid_over(recipe, entry), text_of(file)
        keys[file] = [key for key in KEYS if wanted.get(key) != recipe.get(key)]
        for key in keys[file]:
            text = set_value(text, (key,), wanted[key], tuple(KEYS))
        if keys[file]:
            texts[file] = text
        _check_order(overrides, name, entry.texts("patches"))
        for patch in entry.texts("patches"):
            patches[overrides.patch(name, patch)] = file.with_suffix("") / DIRECTORY / patch
        rest = remove(rest, (name,))
    left = [key for key in overrides.table if key not in overrides.for_every_phase]
    return WriteBack(texts, keys, patches, rest, left)


def _recipe(overrides: Overrides, name: str) -> Path:
    if name in overrides.data.made:
        raise BuildError(
            f"{name} has no recipe: it is the app, or the files of a layer",
            where=overrides.table.where(name),
            hint="overrides of it stay in this work directory",
        )
    return overrides.data.recipes[name]


def _check_order(overrides: Overrides, name: str, added: tuple[str, ...]) -> None:
    """Check that the new patches sort last: patches are applied in the order of their names."""
    directory = overrides.data.files_of(name) / DIRECTORY
    if added and (directory / SERIES).exists():
        raise BuildError(
            f"a file states the order of the patches of {name}: {directory / SERIES}",
            where=overrides.table[name].where("patches"),
            hint=f"move {', '.join(added)} there, and add the names to it",
        )
    own = sorted(path.name for path in directory.glob("*")) if directory.is_dir() else []
    if (together := [*own, *added]) != sorted(together):
        raise BuildError(
            f"the patches of {name} would be applied in another order: {', '.join(together)}",
            where=overrides.table[name].where("patches"),
            hint="rename them so that they sort in this order",
        )
