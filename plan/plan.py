"""The plan: from recipes, a set and an architecture to the ordered list of literal steps.

    plan/sets.yaml ──▶ packages ─────────────────────┐
    plan/recipes/*.yaml, overrides.yaml ─────────────┼─order─▶ steps ──▶ plan.json, digest
    plan/toolbox.yaml ──▶ what builds them, before ──┤
    plan/architectures.yaml ─────────────────────────┘

A set whose product is the first phase's is built by the seed. One whose product is the second
phase's is built by tools that the first phase makes: what they are follows from the recipes.

The plan is data: running it needs nothing that is not in it. Its digest covers all steps, and
nothing that cannot reach an output (comments, the `why` of a recipe, the number of processes).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from plan import graph, styles, toolchain
from plan.errors import BuildError, nearest
from plan.keys import INITRAMFS, SET, kinds, required
from plan.model import (
    PHASES,
    ROOTFS_FROM_SYSROOT,
    SYSROOT_FROM_SEED,
    Initramfs,
    Recipe,
    Source,
    Step,
)
from plan.overrides import load_overrides
from plan.toolbox import check_packages, lacking_tools, load_tools
from plan.toolchain import Architecture, Compiler
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


@dataclass(frozen=True)
class Plan:
    """All that a build of one set for one architecture does, in order."""

    set: Set
    arch: Architecture
    recipes: Mapping[str, Recipe]
    """All there are, as they are in the phase of the product."""
    phases: Mapping[str, Mapping[str, Step]]
    """By phase and by package name, in build order."""
    overridden: tuple[str, ...]
    """The packages of the product that are built by other than their recipes."""
    wanted: tuple[str, ...]
    """The packages of the product, in build order (the phase may have more: tools)."""

    @property
    def steps(self) -> list[Step]:
        """All steps of all phases, in build order."""
        return [step for phase in self.phases.values() for step in phase.values()]

    @property
    def product(self) -> Mapping[str, Step]:
        """The steps that give what the set is for, by package name."""
        steps = self.phases[self.set.phase]
        return {name: steps[name] for name in self.wanted}

    @property
    def outside(self) -> list[str]:
        """The packages that there are recipes of, but that are not in the product."""
        return [name for name in self.recipes if name not in self.wanted]

    def before(self, step: Step) -> list[Step]:
        """The steps that have to stand before `step`: its tools, then its dependencies."""
        own = self.phases[step.phase]
        found = {each.task: each for each in self.tools(step)}
        found |= {own[name].task: own[name] for name in step.depends}
        return list(found.values())

    def tools(self, step: Step) -> list[Step]:
        """The steps that give the tools of `step`: those of the first phase, for that phase too."""
        return [self.phases[SYSROOT_FROM_SEED][name] for name in step.tools]

    @cached_property
    def digest(self) -> str:
        """sha256 of the canonical JSON of all steps."""
        return sha256_of([literal(step) for step in self.steps])

    @property
    def sources(self) -> list[Source]:
        """The sources of all steps, each once, in the order of the steps."""
        return _sources(self.steps)

    @property
    def product_sources(self) -> list[Source]:
        """Those of the product's steps."""
        return _sources(self.product.values())

    @cached_property
    def product_digest(self) -> str:
        """sha256 of what the product's steps do, whichever seed and tools they are run by."""
        return sha256_of([json.loads(deed(step)) for step in self.product.values()])

    def product_json(self) -> str:
        """The text of the product's own plan: its steps, and nothing of what came before them."""
        steps = [asdict(step) | {"tools": []} for step in self.product.values()]
        return self._text(steps, digest=self.product_digest)

    def as_json(self, seed: Mapping[str, Any]) -> str:
        """The text of plan.json; `seed` describes the seed as it was really used."""
        steps = [asdict(step) for step in self.steps]
        return self._text(steps, seed=seed, digest=self.digest, product=self.product_digest)

    def _text(self, steps: Sequence[Mapping[str, Any]], **told: Any) -> str:
        heading = {"format": 1, "set": self.set.name, "arch": self.arch.name}
        return json.dumps(heading | told | {"steps": steps}, indent=1) + "\n"


def _sources(steps: Iterable[Step]) -> list[Source]:
    return list({each.sha256: each for step in steps for each in step.sources}.values())


def literal(step: Step | Mapping[str, Any]) -> dict[str, Any]:
    """All of `step`, or of a step of plan.json, that can reach its output: where a source is found
    says nothing about it."""
    given = asdict(step) if isinstance(step, Step) else dict(step)
    return given | {"sources": [[each["sha256"], each["leave"]] for each in given["sources"]]}


def deed(step: Step | Mapping[str, Any]) -> bytes:
    """What `step`, or a step of plan.json, does, wherever it does it: no phase, no tools.

    A step of a system that builds itself is compared with the one that it was built by.
    """
    return canonical(literal(step) | {"phase": "", "tools": []})


def canonical(value: Any) -> bytes:
    """Canonical JSON: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


def sha256_of(value: Any) -> str:
    """The sha256 of the canonical JSON of `value`, in hexadecimal."""
    return hashlib.sha256(canonical(value)).hexdigest()


def make_plan(
    data: Path,
    *,
    set_name: str,
    arch_name: str,
    seed: toolchain.Tools = toolchain.DEBIAN_TOOLS,
    added: Sequence[str] = (),
    overrides: Path | None = None,
) -> Plan:
    """The plan of the set `set_name` for `arch_name`, from the folder `plan/` at `data`.

    `added`: packages to have besides those of the set. `overrides`: the file of what is to differ
    from the recipes, if it exists.

    `seed` says what the seed has. One that is a system of ours needs no first phase: it is what
    that phase would give. What it lacks is built in the first phase, before what needs it.
    Raises BuildError for what is wrong in the files.
    """
    changes = load_overrides(data / "recipes", overrides)
    by_phase = changes.by_phase
    arch = toolchain.load_architecture(data / "architectures.yaml", arch_name)
    chosen = load_set(data / "sets.yaml", set_name, changes.recipes)
    recipes = by_phase[chosen.phase]
    for name in added:
        if name not in recipes:
            raise BuildError(
                f"there is no recipe {name!r}", where="with=", hint=nearest(name, recipes)
            )
    chosen = replace(chosen, packages=(*chosen.packages, *added))
    depends = _depends(recipes)
    wanted = graph.order(chosen.packages, depends)
    overridden = changes.touched(chosen.phase, wanted)
    about = (overridden, tuple(wanted))
    toolbox = data / "toolbox.yaml"
    if chosen.phase == SYSROOT_FROM_SEED or seed.compiler == toolchain.OWN:
        own = lacking_tools(toolbox, recipes, seed.lacks)
        inside, compiler = chosen.initramfs, seed.compiler
        make = _Maker(recipes, depends, arch, chosen.phase, inside, compiler, own)
        return Plan(chosen, arch, recipes, {chosen.phase: make.steps(wanted)}, *about)
    seeded = by_phase[SYSROOT_FROM_SEED]
    before, tools = _depends(seeded), load_tools(toolbox, recipes)
    built_first = graph.order((tool for name in wanted for tool in tools[name]), before)
    if lacking := [name for name in built_first if name not in wanted]:
        raise BuildError(
            f"the set {set_name} cannot build itself: it lacks {', '.join(lacking)}",
            where="plan/sets.yaml",
            hint="what builds a package of the set has to be in the set",
        )
    own = lacking_tools(toolbox, seeded, seed.lacks)
    first = _Maker(seeded, before, arch, SYSROOT_FROM_SEED, None, seed.compiler, own)
    composed = {name: tuple(graph.order(tools[name], before)) for name in wanted}
    compiler, inside = toolchain.OWN, chosen.initramfs
    second = _Maker(recipes, depends, arch, ROOTFS_FROM_SYSROOT, inside, compiler, composed)
    phases = (first.steps(built_first), second.steps(wanted))
    return Plan(chosen, arch, recipes, dict(zip(PHASES, phases, strict=True)), *about)


def _depends(recipes: Mapping[str, Recipe]) -> dict[str, tuple[str, ...]]:
    return {name: recipe.depends for name, recipe in recipes.items()}


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
    check_packages(table, "packages", recipes)
    check_packages(inside, "packages", recipes)
    initramfs = Initramfs(inside.texts("packages"), inside.texts("leave"))
    return Set(
        name=name,
        phase=table["phase"],
        packages=table.texts("packages"),
        leave=table.texts("leave"),
        root=table.get("root", False),
        initramfs=initramfs,
    )


@dataclass(frozen=True)
class _Maker:
    """Turns recipes into the steps of one phase."""

    recipes: Mapping[str, Recipe]
    depends: Mapping[str, Sequence[str]]
    arch: Architecture
    phase: str
    initramfs: Initramfs | None
    compiler: Compiler
    tools: Mapping[str, tuple[str, ...]]
    """Of each package, all that its build root is composed of besides the seed."""

    def steps(self, names: Sequence[str]) -> dict[str, Step]:
        if self.phase == SYSROOT_FROM_SEED and self.tools:
            names = graph.order(
                names, {name: (*self.tools[name], *self.depends[name]) for name in self.depends}
            )
        return {name: self._step(self.recipes[name]) for name in names}

    def _step(self, recipe: Recipe) -> Step:
        # The kernel carries the initramfs inside, so its step depends on all that goes into it.
        initramfs = self.initramfs if recipe.name == "kernel" else None
        packed = initramfs.packages if initramfs else ()
        environment = toolchain.environment(self.arch, self.compiler) | dict(recipe.environment)
        return Step(
            name=recipe.name,
            phase=self.phase,
            version=recipe.version,
            sources=recipe.sources,
            files=recipe.files,
            depends=tuple(graph.order((*recipe.depends, *packed), self.depends)),
            tools=self.tools.get(recipe.name, ()),
            environment=tuple(sorted(environment.items())),
            commands=styles.commands(recipe, self.arch.triple),
            remove=(*styles.ALWAYS_REMOVED, *recipe.remove),
            additions=toolchain.additions(self.arch, self.compiler),
            initramfs=initramfs,
        )
