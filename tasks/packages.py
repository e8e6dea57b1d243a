"""The steps of the plan as tasks; `tasks/builder.py` does the work.

sysroot-from-seed:<name> ──tools──▶ rootfs-from-sysroot:<name>
             └───────────┬─────────────────┘
                    pkg:<name>
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from plan.model import Step
from tasks.builder import Builder
from tasks.console import speaking, standing
from tasks.project import Project, project

STAGES = {
    "sysroot-from-seed": "the packages as the seed's compiler builds them",
    "rootfs-from-sysroot": "the packages as our own compiler builds them, in what the seed's gave",
}


def task_pkg() -> Iterator[dict[str, Any]]:
    """build the packages of the set, in the order of the plan"""
    plan = project.plan
    for phase, inside in plan.phases.items():
        yield {"basename": phase, "name": None, "doc": STAGES[phase]}
        for step in inside.values():
            yield {"basename": phase, "name": step.name, "doc": _about(step), **_task(step)}
    yield {"basename": "pkg", "name": None, "doc": _all_about()}
    for name in dict.fromkeys(step.name for step in plan.steps):
        steps = [phase[name] for phase in plan.phases.values() if name in phase]
        yield {"basename": "pkg", "name": name, "doc": _about(steps[-1]), **_group(steps)}


def _all_about() -> str:
    """What `doit list` says of the packages together, and which it has a recipe for besides."""
    told, plan = f"the packages of the set {project.plan.set.name}", project.plan
    # Of the smaller sets that would be most.
    named = ", ".join(plan.outside) if plan.set.root else ""
    return f"{told} (not in it: {named})" if named else told


def _about(step: Step) -> str:
    return f"{step.version:<10} {project.plan.recipes[step.name].why}"


def _task(step: Step) -> dict[str, Any]:
    builder = Builder(project, step)
    return {
        "task_dep": [before.task for before in project.plan.before(step)],
        "setup": ["fetch", "seed"],
        "uptodate": [standing(builder.stands)],
        "actions": [(speaking(builder.build),)],
    }


def _group(steps: list[Step]) -> dict[str, Any]:
    builders = [Builder(project, step) for step in steps]
    return {
        "task_dep": [step.task for step in steps],
        "uptodate": [standing(lambda: all(builder.stands() for builder in builders))],
        "actions": None,
    }


def forget(project: Project, tasks: set[str]) -> None:
    """Make the next run compile what `tasks` name again, though the store holds what they gave.

    "pkg:zlib" stands for the package in all phases.
    """
    for step in project.plan.steps:
        if tasks & {step.task, f"pkg:{step.name}"}:
            Builder(project, step).forget()
