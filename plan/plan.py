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
from itertools import chain
from pathlib import Path
from typing import Any

from plan import graph, toolchain
from plan.architecture import Architecture, Machines, architectures, load_machines
from plan.errors import BuildError, nearest
from plan.maker import Maker
from plan.model import (
    PHASES,
    SYSROOT_FROM_SEED,
    Recipe,
    Source,
    Step,
)
from plan.overrides import load_overrides
from plan.sets import Set, load_set
from plan.toolbox import lacking_tools, load_image_tools, load_tools, unbuildable


@dataclass(frozen=True)
class Plan:
    """All that a build of one set for one architecture does, in order."""

    set: Set
    machines: Machines
    recipes: Mapping[str, Recipe]
    """All there are, as they are in the phase of the product."""
    phases: Mapping[str, Mapping[str, Step]]
    """By phase and by package name, in build order."""
    overridden: tuple[str, ...]
    """The packages of the product that are built by other than their recipes."""
    wanted: tuple[str, ...]
    """The packages of the product, in build order (the phase may have more: tools)."""
    imaging: tuple[str, ...]
    """The packages of the first phase that make the image of a crossed product."""
    without: Mapping[str, str]
    """What the set names and the product has not, and why."""

    @property
    def arch(self) -> Architecture:
        """The architecture that the product is for."""
        return self.machines.target

    @property
    def steps(self) -> list[Step]:
        """All steps of all phases, in build order."""
        return [step for phase in self.phases.values() for step in phase.values()]

    @cached_property
    def product(self) -> Mapping[str, Step]:
        """The steps that give what the set is for, by package name."""
        steps = self.phases[self.set.phase]
        return {name: steps[name] for name in self.wanted}

    @property
    def image_tools(self) -> list[Step]:
        """The steps whose trees write the image's root file system; none: the seed does."""
        if not self.machines.crossed:
            return list(self.product.values())
        return [self.phases[SYSROOT_FROM_SEED][name] for name in self.imaging]

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
        if self.machines.crossed:
            heading["build"] = self.machines.build.name
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
    build_name: str = "",
    seed: toolchain.Tools = toolchain.DEBIAN_TOOLS,
    added: Sequence[str] = (),
    overrides: Path | None = None,
) -> Plan:
    """The plan of the set `set_name` for `arch_name`, from the folder `plan/` at `data`.

    `build_name`: the architecture that the steps run on, if it is another. `added`: packages to
    have besides those of the set. `overrides`: the file of what is to differ from the recipes, if
    it exists.

    `seed` says what the seed has. One that is a system of ours needs no first phase: it is what
    that phase would give. What it lacks is built in the first phase, before what needs it.
    Raises BuildError for what is wrong in the files.
    """
    changes = load_overrides(data / "recipes", overrides)
    machines = load_machines(data, build_name or arch_name, arch_name)
    complete = load_set(data / "sets.yaml", set_name, changes.recipes)
    recipes = changes.made(complete.phase, crossed=machines.crossed)
    toolbox = data / "toolbox.yaml"
    without = dict(machines.target.without)
    if complete.phase == SYSROOT_FROM_SEED:
        # A product of two phases builds itself: it has to have what the seed has not.
        without |= unbuildable(toolbox, recipes, seed)
    chosen = _fitted(complete, added, recipes, without)
    depends = _depends(recipes)
    wanted = graph.order(chosen.packages, depends)
    _check_target(wanted, machines.target)
    names = architectures(data / "architectures.yaml")
    product = Maker(recipes, depends, machines, names, chosen.phase, chosen.initramfs, seed, {})
    imaging: Sequence[str] = ()
    if chosen.phase == SYSROOT_FROM_SEED or seed.compiler == toolchain.OWN:
        own = lacking_tools(toolbox, recipes, seed, wanted)
        phases = {chosen.phase: replace(product, tools=own).steps(wanted)}
    else:
        seeded = changes.made(SYSROOT_FROM_SEED, crossed=False)
        if machines.crossed and chosen.root:
            imaging = graph.order(load_image_tools(toolbox, seeded), _depends(seeded))
        phases = _both(product, chosen, wanted, toolbox, seeded, imaging)
    return Plan(
        set=chosen,
        machines=machines,
        recipes=recipes,
        phases=phases,
        overridden=changes.touched(chosen.phase, wanted),
        wanted=tuple(wanted),
        imaging=tuple(imaging),
        without={name: without[name] for name in complete.packages if name not in wanted},
    )


def _both(
    product: Maker,
    chosen: Set,
    wanted: Sequence[str],
    toolbox: Path,
    seeded: Mapping[str, Recipe],
    imaging: Sequence[str],
) -> dict[str, dict[str, Step]]:
    """Both phases of the set `chosen`: the second is made by `product` and what the first gives.

    `seeded`: the recipes as they are in the first phase, which makes what is `imaging` too.
    """
    machines, depends = product.machines, _depends(seeded)
    tools = _tools(toolbox, chosen, product.recipes, wanted, depends, machines.target)
    built_first = graph.order(chain(*tools.values(), imaging), depends)
    # The tools run where the plan does, whatever they compile for then.
    first = replace(
        product,
        recipes=seeded,
        depends=depends,
        machines=Machines(machines.build, machines.build),
        phase=SYSROOT_FROM_SEED,
        initramfs=None,
        tools=lacking_tools(toolbox, seeded, product.seed, built_first),
    )
    second = replace(product, seed=toolchain.Tools(toolchain.OWN), tools=tools)
    return dict(zip(PHASES, (first.steps(built_first), second.steps(wanted)), strict=True))


def _fitted(
    chosen: Set, added: Sequence[str], recipes: Mapping[str, Recipe], without: Collection[str]
) -> Set:
    """The set with the packages `added`, and without those that it cannot have."""
    for name in added:
        if name not in recipes:
            raise BuildError(
                f"there is no recipe {name!r}", where="with=", hint=nearest(name, recipes)
            )
    inside = chosen.initramfs
    kept = tuple(name for name in inside.packages if name not in without)
    return replace(
        chosen,
        packages=(*(name for name in chosen.packages if name not in without), *added),
        initramfs=replace(inside, packages=kept),
    )


def _check_target(wanted: Sequence[str], target: Architecture) -> None:
    """Raise BuildError for packages that there cannot be."""
    for name in wanted:
        if name in target.without:
            raise BuildError(
                f"there can be no {name} for {target.name}: {target.without[name]}",
                where="plan/architectures.yaml",
                hint="leave out what depends on it",
            )


def _tools(
    toolbox: Path,
    chosen: Set,
    recipes: Mapping[str, Recipe],
    wanted: Sequence[str],
    before: Mapping[str, Sequence[str]],
    target: Architecture,
) -> dict[str, tuple[str, ...]]:
    """Of each package `wanted`, all that has to stand before it of the first phase, in order."""
    named = load_tools(toolbox, recipes)
    tools = {name: tuple(graph.order(named[name], before)) for name in wanted}
    needed = graph.order(chain(*tools.values()), before)
    if lacking := [name for name in needed if name not in wanted]:
        reasons = [f"no {name} for {target.name}: {why}" for name, why in target.without.items()]
        raise BuildError(
            f"the set {chosen.name} cannot build itself: it lacks {', '.join(lacking)}",
            where="plan/sets.yaml",
            hint="\n  ".join(["what builds a package of the set has to be in the set", *reasons]),
        )
    return tools


def _depends(recipes: Mapping[str, Recipe]) -> dict[str, tuple[str, ...]]:
    return {name: recipe.depends for name, recipe in recipes.items()}
