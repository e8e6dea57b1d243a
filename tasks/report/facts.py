"""The data of the report's page, gathered before anything is drawn.

Sizes are in bytes, durations in seconds, times in seconds since 1970. A value that is not known is
None, and the page does not show it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from plan.model import Source
from tasks.engine.records.outcome import Outcome

BUILT, FAILED, CUT, RUNNING = "built", "failed", "not finished", "is running"


@dataclass(frozen=True)
class StepFacts:
    """One step of the plan: its data, its state, and the measurements of its build."""

    task: str
    name: str
    phase: str
    version: str
    license: str
    description: str
    state: str
    """A state of tasks/engine/survey.py ("up_to_date", "stored", "build"), or "failed"."""
    depends: tuple[str, ...]
    """Its direct and indirect dependencies, which are in the same phase."""
    tools: tuple[str, ...]
    """The packages of the first phase in its build root."""
    sources: tuple[Source, ...]
    step_id: str | None = None
    artifact: str | None = None
    size: int | None = None
    inside: int | None = None
    """The size of its files in the image."""
    packed: int | None = None
    """The same, compressed, if the image compresses them."""
    seconds: float | None = None
    cpu: float | None = None
    memory: int | None = None
    resumed: bool = False
    """Whether the times only count from an interruption."""


@dataclass(frozen=True)
class Bar:
    """A step while it ran, from `start` to `end`, in seconds since the beginning of the run."""

    task: str
    start: float
    end: float
    how: str
    """BUILT, FAILED, CUT (the run ended first) or RUNNING."""


@dataclass(frozen=True)
class Run:
    """One run that had something to build."""

    time: float
    command: str
    seconds: float
    """Until its end, its last event, or now if it is running."""
    outcome: Outcome
    bars: tuple[Bar, ...]
    hits: tuple[tuple[str, float], ...]
    """The steps from the store, and their times."""


@dataclass(frozen=True)
class ProductFacts:
    """A file made of the packages."""

    kind: str
    """"image", "sysroot", "oci" or "bundle"; "" if it was not made from the current inputs."""
    file: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Change:
    """The change of one step or product between two snapshots."""

    name: str
    kind: str
    """In words: "new", "gone", "other version", …"""
    before: Mapping[str, Any]
    after: Mapping[str, Any]


@dataclass(frozen=True)
class Comparison:
    """Two snapshots and their differences."""

    before: float
    after: float
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Facts:
    """All data of the page."""

    title: str
    """The name of the product: "bootstrap-qcow2-full-x86_64"."""
    written: float
    set: str
    arch: str
    seed: str
    plan_digest: str
    product_digest: str
    phases: tuple[str, ...]
    product_phase: str
    steps: tuple[StepFacts, ...]
    products: tuple[ProductFacts, ...]
    last_run: Run | None
    runs: tuple[Run, ...]
    """The last runs that had something to build, newest first."""
    failures: tuple[Mapping[str, Any], ...]
    """The reports of tasks/engine/failures.py."""
    warnings: tuple[str, ...]
    comparison: Comparison | None
    next: str
    """What the next build will do, for people."""

    @property
    def product(self) -> list[StepFacts]:
        """The steps of the product."""
        return [step for step in self.steps if step.phase == self.product_phase]
