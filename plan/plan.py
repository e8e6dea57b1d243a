"""The plan: the ordered list of literal steps, their digest, and plan.json.

    plan/planner.py ──▶ steps, by phase ──▶ plan.json
                                       └──▶ digest

The plan is data: running it needs nothing that is not in it. Its digest covers all steps, and
nothing that cannot reach an output (comments, the `why` of a recipe, the number of processes).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from plan.architecture import Architecture, Machines
from plan.model import SYSROOT_FROM_SEED, Recipe, Source, Step
from plan.sets import Set


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
