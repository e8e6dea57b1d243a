"""Step ids: the name of everything that a step's output can depend on.

    step (literal) + artifacts of its dependencies + build root [+ image description] ──▶ step id

Because artifacts come in by content, a dependency that was built again to the same bytes leaves
the id as it was: that is the early cut-off.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plan.model import Step
from plan.plan import literal, sha256_of

# Raise it when the way a step is run or packed changes in a way that can reach its output.
FORMAT = 1


def step_inputs(
    step: Step,
    *,
    build_root: str,
    artifacts: Mapping[str, str],
    image: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """All that the result of `step` can depend on, as plain data.

    `build_root` is the identity of the tree it runs in, `artifacts` the sha256 of each artifact
    in `step.depends`, `image` what the initramfs is told about itself (for steps that have one).
    """
    return {
        "format": FORMAT,
        "step": literal(step),
        "build_root": build_root,
        "depends": [[name, artifacts[name]] for name in step.depends],
        "image": image,
    }


def step_id(inputs: Mapping[str, Any]) -> str:
    """The sha256 that names the result of the step with these `inputs`."""
    return sha256_of(inputs)
