"""The plan: from recipes, a set and an architecture to the ordered list of literal steps.

    plan/sets.yaml ──▶ packages ─┐
    plan/recipes/*.yaml ─────────┼─order─▶ steps ──▶ plan.json, digest
    plan/architectures.yaml ─────┘

The plan is data: running it needs nothing that is not in it. Its digest covers all steps, and
nothing that cannot reach an output (comments, the `why` of a recipe, the number of processes).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from plan import graph, styles, toolchain
from plan.errors import BuildError, nearest
from plan.model import SYSROOT_FROM_SEED, Initramfs, Recipe, Source, Step
from plan.recipes import load_recipes
from plan.toolchain import Architecture
from plan.yamlfile import Table, load

SET_KEYS = {"phase": str, "packages": list, "leave": list, "initramfs": dict}


@dataclass(frozen=True)
class Set:
    """A named choice of packages, and which of their trees the initramfs holds."""

    name: str
    phase: str
    packages: tuple[str, ...]
    leave: tuple[str, ...]
    """Globs of what the products do not hold, though artifacts do."""
    initramfs: Initramfs


@dataclass(frozen=True)
class Plan:
    """All that a build of one set for one architecture does, in order."""

    set: Set
    arch: Architecture
    recipes: Mapping[str, Recipe]
    steps: Mapping[str, Step]
    """By package name, in build order."""

    @cached_property
    def digest(self) -> str:
        """sha256 of the canonical JSON of all steps."""
        return sha256_of([literal(step) for step in self.steps.values()])

    @property
    def sources(self) -> list[Source]:
        """The sources of all steps, each once, in the order of the steps."""
        found = {each.sha256: each for step in self.steps.values() for each in step.sources}
        return list(found.values())

    def as_json(self, seed: Mapping[str, Any]) -> str:
        """The text of plan.json; `seed` describes the seed as it was really used."""
        content = {
            "format": 1,
            "set": self.set.name,
            "arch": self.arch.name,
            "seed": seed,
            "digest": self.digest,
            "steps": [asdict(step) for step in self.steps.values()],
        }
        return json.dumps(content, indent=1) + "\n"


def literal(step: Step) -> dict[str, Any]:
    """All of `step` that can reach its output: where a source is found says nothing about it."""
    sources = [[source.sha256, source.leave] for source in step.sources]
    return asdict(step) | {"sources": sources}


def canonical(value: Any) -> bytes:
    """Canonical JSON: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


def sha256_of(value: Any) -> str:
    """The sha256 of the canonical JSON of `value`, in hexadecimal."""
    return hashlib.sha256(canonical(value)).hexdigest()


def make_plan(data: Path, *, set_name: str, arch_name: str) -> Plan:
    """The plan of the set `set_name` for `arch_name`, from the folder `plan/` at `data`.

    Raises BuildError for whatever is wrong in the authored files.
    """
    recipes = load_recipes(data / "recipes")
    arch = toolchain.load_architecture(data / "architectures.yaml", arch_name)
    chosen = load_set(data / "sets.yaml", set_name, recipes)
    depends = {name: recipe.depends for name, recipe in recipes.items()}
    names = graph.order(chosen.packages, depends)
    steps = {name: _step(recipes[name], depends, chosen, arch) for name in names}
    return Plan(chosen, arch, recipes, steps)


def load_set(path: Path, name: str, recipes: Mapping[str, Recipe]) -> Set:
    """The set `name` of plan/sets.yaml. Raises BuildError for an unknown package in it."""
    sets = load(path, shown_as="plan/sets.yaml")
    if name not in sets:
        raise BuildError(f"unknown set {name!r}", where="plan/sets.yaml", hint=nearest(name, sets))
    table: Table = sets[name]
    table.expect(SET_KEYS, SET_KEYS)
    inside: Table = table["initramfs"]
    inside.expect({"packages": list, "leave": list}, ("packages",))
    _check_packages(table, table.texts("packages"), recipes)
    _check_packages(inside, inside.texts("packages"), recipes)
    initramfs = Initramfs(inside.texts("packages"), inside.texts("leave"))
    return Set(name, table["phase"], table.texts("packages"), table.texts("leave"), initramfs)


def _check_packages(table: Table, names: Sequence[str], recipes: Mapping[str, Recipe]) -> None:
    for name in names:
        if name not in recipes:
            raise BuildError(
                f"there is no recipe {name!r}",
                where=table.where("packages"),
                hint=nearest(name, recipes),
            )


def _step(
    recipe: Recipe, depends: Mapping[str, Sequence[str]], chosen: Set, arch: Architecture
) -> Step:
    # The kernel carries the initramfs inside, so its step depends on all that goes into it.
    initramfs = chosen.initramfs if recipe.name == "kernel" else None
    packed = initramfs.packages if initramfs else ()
    compiler = toolchain.DEBIAN
    environment = toolchain.environment(arch, compiler) | dict(recipe.environment)
    return Step(
        name=recipe.name,
        phase=SYSROOT_FROM_SEED,
        version=recipe.version,
        sources=recipe.sources,
        files=recipe.files,
        depends=tuple(graph.order((*recipe.depends, *packed), depends)),
        environment=tuple(sorted(environment.items())),
        commands=styles.commands(recipe, arch.triple),
        remove=(*styles.ALWAYS_REMOVED, *recipe.remove),
        additions=toolchain.additions(arch, compiler),
        initramfs=initramfs,
    )
