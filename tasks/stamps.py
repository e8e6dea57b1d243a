"""What stands in this work directory: a small file for each step, written last.

work/stamps/<phase>/<name>.json        the step id, the artifact, and the artifact's size
work/stamps/<phase>/<name>.inputs      all that the step id is the hash of, for `doit why`
work/stamps/<phase>/<name>.forgotten   the step is to be run again, whatever the store holds
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from cache.store import Record, Vanished
from plan.model import Step
from rootfs.files import replacing
from tasks.project import Project


class Stamp:
    """What stands of one step."""

    def __init__(self, project: Project, step: Step) -> None:
        folder = project.workdir / "stamps" / step.phase
        self.store = project.store
        self.file = folder / f"{step.name}.json"
        self.inputs = folder / f"{step.name}.inputs"
        self.forgotten = folder / f"{step.name}.forgotten"

    def read(self) -> dict[str, Any] | None:
        """The stamp, or None when there is none that can be read and whose artifact is whole."""
        try:
            stamp = dict(json.loads(self.file.read_text()))
            size = self.store.artifact(stamp["artifact"]).stat().st_size
            return stamp if stamp["size"] == size else None
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def read_of(self, step: str, record: Record | None) -> dict[str, Any] | None:
        """The stamp, if it is of the step id `step` and says what the store's `record` says."""
        stamp = self.read()
        if stamp is None or stamp["step"] != step:
            return None
        return stamp if record is None or record.artifact == stamp["artifact"] else None

    def require(self) -> dict[str, Any]:
        """The stamp. Raises Vanished when there is none, or its artifact is gone."""
        stamp = self.read()
        if stamp is None:
            raise Vanished(self.file.stem, self.file)
        return stamp

    def write(self, record: Record, inputs: Mapping[str, Any]) -> None:
        """Say that the step stands, as `record` has it, and what it was made from."""
        with replacing(self.inputs) as file:
            file.write(json.dumps(inputs).encode() + b"\n")
        content = {"artifact": record.artifact, "size": record.size, "step": record.step}
        with replacing(self.file) as file:
            file.write(json.dumps(content).encode() + b"\n")

    def read_inputs(self) -> dict[str, Any] | None:
        """What the step was made from when it was made last, or None if that is not known."""
        try:
            return dict(json.loads(self.inputs.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def forget(self) -> None:
        """Make the next run compile the step again."""
        self.forgotten.parent.mkdir(parents=True, exist_ok=True)
        self.forgotten.touch()


def artifacts(project: Project, steps: Iterable[Step]) -> dict[str, str]:
    """The artifacts of those of `steps` that stand, by the names of their tasks."""
    found = {step.task: Stamp(project, step).read() for step in steps}
    return {task: stamp["artifact"] for task, stamp in found.items() if stamp}


def package_artifacts(project: Project, phase: str, names: Iterable[str]) -> dict[str, str]:
    """The same of the packages `names` in the phase `phase`, by package."""
    found = artifacts(project, [project.plan.phases[phase][name] for name in names])
    return {task.partition(":")[2]: artifact for task, artifact in found.items()}


def product_artifacts(project: Project) -> dict[str, str]:
    """The artifacts of the product, by package, as far as they stand."""
    return package_artifacts(project, project.plan.set.phase, project.plan.product)
