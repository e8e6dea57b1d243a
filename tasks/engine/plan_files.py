"""The plan on disk: plan.json, and a small file for each step with its authored data.

work/plan.json                  every step with its literal commands, and the seed as it is used
work/plan/<phase>/<name>.json   one step, and the parts of the seed and image that its id contains
work/plan/digest                the hash of all these files, and that of plan.json: whether they are
                                up to date

doit compares the steps' files: a step runs again if its file, or the artifact of a dependency, has
other bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from plan.model import Step
from plan.outputs import write_file
from plan.steps import identity
from plan.steps.identity import step_inputs
from plan.steps.plan import sha256_of
from tasks.engine.image_facts import describe_image
from tasks.engine.project import Project


def step_file(project: Project, step: Step) -> Path:
    """The file with the authored data of `step`."""
    return project.workdir / "plan" / step.phase / f"{step.name}.json"


def digest_file(project: Project) -> Path:
    """The file with the hash of the written plan."""
    return project.workdir / "plan" / "digest"


def is_written(project: Project) -> bool:
    """Whether the plan on disk is current. Raises BuildError if the seed's data are invalid."""
    try:
        return digest_file(project).read_text() == _written(project)
    except OSError:
        return False


def write_plan(project: Project) -> None:
    """Write the current plan, with the seed as it is used. Raises BuildError."""
    write_file(project.plan_file, project.plan.as_json(project.seed.describe()))
    for step in project.plan.steps:
        write_file(
            step_file(project, step), json.dumps(_authored(project, step), indent=1, sort_keys=True)
        )
    write_file(digest_file(project), _written(project))


def _written(project: Project) -> str:
    """The content of the digest file while the plan on disk is current. Raises OSError."""
    return f"{_digest(project)}\n{hashlib.sha256(project.plan_file.read_bytes()).hexdigest()}\n"


def _digest(project: Project) -> str:
    images = [_image(project, step) for step in project.plan.steps if step.initramfs]
    formats = [identity.FORMAT, identity.INITRAMFS_FORMAT]
    return sha256_of([formats, project.plan.digest, project.seed.describe(), images])


def authored(project: Project) -> list[Path]:
    """The files from which the plan is made: all data of project and layers, and the overrides."""
    found = [*project.plan.override_files]
    for layer in project.data.layers:
        found += [layer.path / name for name, _ in layer.content]
    for directory, _, names in os.walk(project.data.own):
        if not directory.endswith("__pycache__"):
            found += [Path(directory, name) for name in names if not name.endswith(".py")]
    return sorted(path for path in found if path.is_file())


def _authored(project: Project, step: Step) -> dict[str, Any]:
    """The inputs of the id of `step`, without the artifacts of its dependencies."""
    return step_inputs(
        step,
        build_root=project.seed.identity if step.is_on_seed else "",
        artifacts=dict.fromkeys(step.depends, ""),
        image=_image(project, step),
    )


def _image(project: Project, step: Step) -> dict[str, Any] | None:
    """The description in the initramfs of `step`, without the artifacts."""
    packages = step.initramfs.packages if step.initramfs else ()
    return describe_image(project, packages, dict.fromkeys(packages, "")) if packages else None
