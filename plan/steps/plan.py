"""The plan: the ordered list of literal steps, their digest, and plan.json.

    plan/steps/planner.py ──▶ steps, by phase ──▶ plan.json
                                       └──▶ digest

The plan is data: it is all that a run needs. Its digest covers all steps, and nothing that cannot
change an output (comments, the `description` of a recipe, the number of processes).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from plan.compiling.architecture import Architecture, Machines
from plan.model import SYSROOT_FROM_SEED, Recipe, Source, Step
from plan.reading.layer import Layer
from plan.steps.sets import Set


@dataclass(frozen=True)
class Plan:
    """All steps of a build of one set for one architecture, in order."""

    set: Set
    machines: Machines
    recipes: Mapping[str, Recipe]
    """All recipes, as the product's phase has them."""
    phases: Mapping[str, Mapping[str, Step]]
    """By phase and by package name, in build order."""
    overridden: tuple[str, ...]
    """The packages of the product whose recipes are overridden."""
    override_files: tuple[Path, ...]
    """The overrides file and the patches that it names; empty if there are no overrides."""
    wanted: tuple[str, ...]
    """The packages of the product, in build order (the phase may have more: tools)."""
    imaging: tuple[str, ...]
    """The packages of the first phase that make the image of a crossed product."""
    without: Mapping[str, str]
    """Package of the set that the product lacks → the reason."""
    layers: tuple[Layer, ...] = ()
    """The layers that add to this project, in order."""
    layered: Mapping[str, Layer] = field(default_factory=dict)
    """Package → the layer that its recipe comes from; the others are this project's."""
    app: str = ""
    """The package of the app, or ""."""
    app_section: Mapping[str, Any] = field(default_factory=dict)
    """What local.yaml says of the app; what its own layer.yaml says is among its files."""

    @property
    def title(self) -> str:
        """What a product is called, before its architecture."""
        return self.app or f"bootstrap-qcow2-{self.set.name}"

    @property
    def arch(self) -> Architecture:
        """The target architecture."""
        return self.machines.target

    @property
    def steps(self) -> list[Step]:
        """All steps of all phases, in build order."""
        return [step for phase in self.phases.values() for step in phase.values()]

    @cached_property
    def product(self) -> Mapping[str, Step]:
        """The steps of the product's phase, by package name."""
        steps = self.phases[self.set.phase]
        return {name: steps[name] for name in self.wanted}

    @property
    def image_tools(self) -> list[Step]:
        """The steps whose trees write the image's root file system; empty if the seed writes it."""
        if not self.machines.crossed:
            return list(self.product.values())
        return [self.phases[SYSROOT_FROM_SEED][name] for name in self.imaging]

    @property
    def outside(self) -> list[str]:
        """The packages that have a recipe but are not in the product."""
        return [name for name in self.recipes if name not in self.wanted]

    def before(self, step: Step) -> list[Step]:
        """The steps that must finish before `step`: its tools, then its dependencies."""
        own = self.phases[step.phase]
        found = {each.task: each for each in self.tools(step)}
        found |= {own[name].task: own[name] for name in step.depends}
        return list(found.values())

    @cached_property
    def waits(self) -> Mapping[str, list[str]]:
        """Task of a step → the tasks of the steps before it."""
        return {step.task: [each.task for each in self.before(step)] for step in self.steps}

    def tools(self, step: Step) -> list[Step]:
        """The steps that build the tools of `step`; they are always in the first phase."""
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
        """The sources of the product's steps."""
        return _sources(self.product.values())

    @cached_property
    def product_digest(self) -> str:
        """sha256 of what the product's steps do; the seed and the tools do not change it."""
        return deeds_digest(self.product.values())

    def product_json(self) -> str:
        """The text of the product's own plan: its steps, without the steps of the first phase."""
        steps = [asdict(step) | {"tools": []} for step in self.product.values()]
        return self._text(steps, digest=self.product_digest)

    def as_json(self, seed: Mapping[str, Any]) -> str:
        """The text of plan.json; `seed` describes the seed as it is used."""
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
    """All of `step`, or of a step of plan.json, that can change its output: all but URLs."""
    if isinstance(step, Step):
        return vars(step) | {
            "sources": _rows((each.sha256, each.exclude, each.file) for each in step.sources),
            # Their own fields are plain.
            "commands": [vars(each) for each in step.commands],
            "additions": [vars(each) for each in step.additions],
            "initramfs": vars(step.initramfs) if step.initramfs else None,
        }
    told = ((each["sha256"], each["exclude"], each["file"]) for each in step["sources"])
    return {**step, "sources": _rows(told)}


def _rows(sources: Iterable[tuple[str, Sequence[str], str]]) -> list[list[object]]:
    """The hash of each source and what is not unpacked of it; its file name, if a step sees that.

    The first one is at /source, the others are files in /input. A wheel is unpacked in its own way.
    """
    return [
        [sha256, exclude, *([file] if number or file.endswith(".whl") else [])]
        for number, (sha256, exclude, file) in enumerate(sources)
    ]


def deed(step: Step | Mapping[str, Any]) -> bytes:
    """What `step`, or a step of plan.json, does: without phase and tools.

    It compares the step of a system that builds itself with the step that built the system.
    """
    return canonical(_deed(step))


def _deed(step: Step | Mapping[str, Any]) -> dict[str, Any]:
    return literal(step) | {"phase": "", "tools": []}


def deeds_digest(steps: Iterable[Step | Mapping[str, Any]]) -> str:
    """sha256 of what all of `steps` do: the digest of a product's plan."""
    return sha256_of([_deed(step) for step in steps])


def canonical(value: Any) -> bytes:
    """Canonical JSON: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


def sha256_of(value: Any) -> str:
    """The sha256 of the canonical JSON of `value`, in hexadecimal."""
    return hashlib.sha256(canonical(value)).hexdigest()
