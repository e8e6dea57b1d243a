"""What the report's page is drawn from: plain data, gathered before anything is drawn.

Sizes are in bytes, durations in seconds, times in seconds since 1970. What was never measured, or
is not known, is None: the page then says nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from plan.model import Source

BUILT, FAILED, INTERRUPTED = "built", "failed", "interrupted"


@dataclass(frozen=True)
class StepFacts:
    """One step of the plan: what it is, how it stands, and what its build was measured at."""

    task: str
    name: str
    phase: str
    version: str
    licence: str
    why: str
    state: str
    """As tasks/outlook.py has it ("stands", "stored", "build"), or "failed"."""
    depends: tuple[str, ...]
    """The packages of the same phase that it depends on, directly or not."""
    tools: tuple[str, ...]
    """The packages of the phase before that its build root is composed of."""
    sources: tuple[Source, ...]
    step_id: str | None = None
    artifact: str | None = None
    size: int | None = None
    seconds: float | None = None
    cpu: float | None = None
    memory: int | None = None
    resumed: bool = False
    """Whether the times are only those since an interruption."""


@dataclass(frozen=True)
class Bar:
    """A step while it ran, from `start` to `end`, counted from the beginning of the run."""

    task: str
    start: float
    end: float
    how: str
    """BUILT, FAILED or INTERRUPTED."""


@dataclass(frozen=True)
class Run:
    """One run that had something to build."""

    time: float
    command: str
    seconds: float
    """To its end, or to the last thing that is known of it."""
    status: int | None
    """None where it was killed, or goes on."""
    bars: tuple[Bar, ...]
    hits: tuple[tuple[str, float], ...]
    """What was taken from the store, and when."""


@dataclass(frozen=True)
class ProductFacts:
    """A file that was made of the packages."""

    kind: str
    """What it is, "image", "sysroot" or "bundle"; "" where its inputs are not those of now."""
    file: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Change:
    """What became of one step or product between two snapshots."""

    name: str
    kind: str
    """In words: "new", "gone", "other version", …"""
    before: Mapping[str, Any]
    after: Mapping[str, Any]


@dataclass(frozen=True)
class Comparison:
    """Two snapshots, and what changed from one to the other."""

    before: float
    after: float
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Facts:
    """All that the page tells."""

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
    """The last runs that had something to build, the newest first."""
    failures: tuple[Mapping[str, Any], ...]
    """The reports of tasks/failures.py."""
    warnings: tuple[str, ...]
    comparison: Comparison | None

    @property
    def product(self) -> list[StepFacts]:
        """The steps that give what the set is for."""
        return [step for step in self.steps if step.phase == self.product_phase]
