"""Builds one step somewhere; the rest of the engine does not know where.

step ──▶ remote=? ──▶ a worker (tasks/engine/workers.py) ──cannot──┐
              └──────▶ here (tasks/engine/here.py) ◀───────────────┘
                                    └─▶ Built: the packed artifact, its tree, the times
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rootfs.sandbox.enter import Result
    from rootfs.sandbox.step import Packed
    from tasks.engine.builder import Builder


@dataclass(frozen=True)
class Built:
    """What a build gave: the same bytes, wherever it was. resumed: it continued an earlier one."""

    packed: Packed
    results: Sequence[Result]
    resumed: bool = False


def build(builder: Builder, wanted: str) -> Built:
    """Run the step of `builder`, whose id is `wanted`. Raises BuildError if it fails."""
    from tasks.engine import here

    project = builder.project
    # Those of objects= are built here: only their compilers run on workers.
    workers = None if builder.step.name in project.settings.objects else project.workers
    built = workers.build(builder, wanted) if workers else None
    return built or here.build(builder, wanted)
