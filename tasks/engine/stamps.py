"""The finished steps of this work directory: a small file for each step, written last.

work/stamps/<phase>/<name>             the artifact's hash, which doit compares
work/stamps/<phase>/<name>.json        the step id, the artifact, and the artifact's size
work/stamps/<phase>/<name>.inputs      the data whose hash is the step id, for `doit why`
work/stamps/<phase>/<name>.forgotten   the step must run again, even if the store has it
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cache.store import Record, Vanished
from plan.model import Step
from plan.outputs import write_file
from tasks.engine.project import Project


@dataclass(frozen=True)
class Made:
    """What a stamp says: the step id `step`, the sha256 of the artifact, and its size in bytes."""

    artifact: str
    size: int
    step: str

    def agrees(self, record: Record | None) -> bool:
        """Whether the store's `record` of the step, if it has one, names the same artifact."""
        return record is None or record.artifact == self.artifact


class Stamp:
    """The state of one step in this work directory."""

    def __init__(self, project: Project, step: Step) -> None:
        self.store = project.store
        self.target = project.workdir / "stamps" / step.phase / step.name

    @property
    def file(self) -> Path:
        """The stamp: the last file that a build writes."""
        return self._beside("json")

    @property
    def inputs(self) -> Path:
        """The inputs of the last build."""
        return self._beside("inputs")

    @property
    def forgotten(self) -> Path:
        """If it exists, the step must run again."""
        return self._beside("forgotten")

    def _beside(self, suffix: str) -> Path:
        return self.target.with_name(f"{self.target.name}.{suffix}")

    def read(self) -> Made | None:
        """The stamp, or None if there is no readable one or its artifact is damaged."""
        try:
            made = Made(**json.loads(self.file.read_text()))
            size = self.store.artifact(made.artifact).stat().st_size
            return made if made.size == size else None
        except (OSError, ValueError, TypeError):
            return None

    def read_of(self, step: str, record: Record | None) -> Made | None:
        """The stamp, if it has the step id `step` and matches the store's `record`."""
        made = self.read()
        return made if made and made.step == step and made.agrees(record) else None

    def require(self) -> Made:
        """The stamp. Raises Vanished if there is none, or its artifact is gone."""
        made = self.read()
        if made is None:
            raise Vanished(self.file.stem, self.file)
        return made

    def write(self, record: Record, inputs: Mapping[str, Any]) -> None:
        """Record that the step is up to date, with its `record` and its inputs."""
        write_file(self.inputs, json.dumps(inputs) + "\n")
        write_file(self.target, f"{record.artifact}\n")
        made = Made(record.artifact, record.size, record.step)
        write_file(self.file, json.dumps(asdict(made)) + "\n")

    def read_inputs(self) -> dict[str, Any] | None:
        """The inputs of the last build of the step, or None if they are not known."""
        try:
            return dict(json.loads(self.inputs.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def remove(self) -> list[Path]:
        """Make the next run look for the artifact again. Return the removed files."""
        files = [path for path in (self.target, self.file, self.inputs) if path.exists()]
        for path in files:
            path.unlink()
        return files

    def forget(self) -> None:
        """Make the next run compile the step again."""
        self.forgotten.parent.mkdir(parents=True, exist_ok=True)
        self.forgotten.touch()


def artifacts(project: Project, steps: Iterable[Step]) -> dict[str, str]:
    """The artifacts of the finished `steps`, by the names of their tasks."""
    found = {step.task: Stamp(project, step).read() for step in steps}
    return {task: made.artifact for task, made in found.items() if made}


def package_artifacts(project: Project, phase: str, names: Iterable[str]) -> dict[str, str]:
    """The same for the packages `names` in the phase `phase`, by package."""
    found = artifacts(project, [project.plan.phases[phase][name] for name in names])
    return {task.partition(":")[2]: artifact for task, artifact in found.items()}


def product_artifacts(project: Project) -> dict[str, str]:
    """The known artifacts of the product, by package."""
    return package_artifacts(project, project.plan.set.phase, project.plan.product)
