"""Which packages can be compiled on other machines object by object (objects=, docs/scale.md)."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping

from plan.errors import BuildError, nearest
from plan.model import Recipe

MACHINE = "x86_64"
"""The machine that plan/objects.lock.yaml has programs for."""


def require_objects(names: Collection[str], recipes: Mapping[str, Recipe]) -> None:
    """Raise BuildError if one of `names`, the packages of objects=, cannot be compiled so."""
    usable = [name for name, recipe in recipes.items() if recipe.style == "cmake"]
    for name in names:
        if name not in recipes:
            hint = nearest(name, usable)
            raise BuildError(f"{name} is no package", where="objects=", hint=hint)
        if name not in usable:
            hint = f"CMake builds {', '.join(usable)}"
            raise BuildError(f"CMake does not build {name}", where="objects=", hint=hint)
    if names and (machine := os.uname().machine) != MACHINE:
        raise BuildError(
            f"its programs are pinned for {MACHINE}, and this is {machine}",
            where="objects=",
            hint="leave it out: then workers build whole packages",
        )
