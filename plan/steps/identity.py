"""Step ids: the hash of everything that a step's output can depend on.

    step (literal) + artifacts of its dependencies + build root [+ image description] ──▶ step id

The id contains the hashes of the dependencies' artifacts. If a dependency is built again and has
the same bytes, the id stays the same: that is the early cut-off.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plan.model import Step
from plan.steps.plan import literal, sha256_of

# Raise it when a change in how steps run or are packed can change their output.
FORMAT = 1
# Raise it when the same trees and description give another initramfs.
INITRAMFS_FORMAT = 2


def step_inputs(
    step: Step,
    *,
    build_root: str,
    artifacts: Mapping[str, str],
    image: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Everything that the result of `step` can depend on, as plain data.

    `build_root` is the identity of the tree it runs in. `artifacts` has the sha256 of each artifact
    in `step.depends`. `image` is the initramfs's description (for steps that have one).
    """
    return {
        "format": FORMAT,
        "step": literal(step),
        "build_root": build_root,
        "depends": [[name, artifacts[name]] for name in step.depends],
        "image": {"format": INITRAMFS_FORMAT, **image} if image else None,
    }


def step_id(inputs: Mapping[str, Any]) -> str:
    """The sha256 that names the result of the step with these `inputs`."""
    return sha256_of(inputs)
