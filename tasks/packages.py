"""pkg:<name>: one task for each step of the plan, in order; `tasks/builder.py` does the work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tasks.builder import Builder
from tasks.console import speaking, standing
from tasks.project import Project, project


def task_pkg() -> Iterator[dict[str, Any]]:
    """build the packages of the set, in the order of the plan"""
    yield {"name": None, "doc": f"the packages of the set {project.settings.set}"}
    for step in project.plan.steps.values():
        why = project.plan.recipes[step.name].why
        yield {
            "name": step.name,
            "doc": f"{step.version:<10} {why}",
            "task_dep": [f"pkg:{name}" for name in step.depends],
            "setup": ["fetch", "seed"],
            "uptodate": [standing(Builder(project, step).stands)],
            "actions": [(speaking(Builder(project, step).build),)],
        }


def forget(project: Project, names: list[str]) -> None:
    """Make the next run compile `names` again, though the store holds what they gave."""
    for name in names:
        builder = Builder(project, project.plan.steps[name])
        builder.forgotten.parent.mkdir(parents=True, exist_ok=True)
        builder.forgotten.touch()
