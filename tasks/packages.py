"""The steps of the plan as tasks; `tasks/engine/builder.py` does the work.

sysroot-from-seed:<name> ──tools──▶ rootfs-from-sysroot:<name>
             └───────────┬─────────────────┘
                    pkg:<name>
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache, partial
from typing import Any

from doit.dependency import UptodateCalculator
from doit.globals import Globals
from doit.task import Task

from plan.model import Step
from rootfs.archives.files import remove_tree
from tasks.actions import DoitTask, speaking, up_to_date
from tasks.engine.builder import Builder
from tasks.engine.plan_files import step_file
from tasks.engine.project import Project
from tasks.engine.stamps import Stamp
from tasks.engine.survey import UP_TO_DATE, StepState, survey

PHASE_DOCS = {
    "sysroot-from-seed": "build the packages with the seed's compiler",
    "rootfs-from-sysroot": "build the packages with our own compiler, in roots of its tools alone",
}


def task_pkg(project: Project) -> Iterator[DoitTask]:
    """build the packages of the set, in the order of the plan

    pkg                       all packages of the set
    pkg:zlib                  one package and its dependencies
    """
    plan = project.plan
    for phase, inside in plan.phases.items():
        yield {"basename": phase, "name": None, "doc": PHASE_DOCS[phase]}
        for step in inside.values():
            yield {
                "basename": phase,
                "name": step.name,
                "doc": _about(project, step),
                **_task(project, step),
            }
    yield {"basename": "pkg", "name": None, "doc": _all_about(project)}
    for name in dict.fromkeys(step.name for step in plan.steps):
        steps = [phase[name] for phase in plan.phases.values() if name in phase]
        yield {
            "basename": "pkg",
            "name": name,
            "doc": _about(project, steps[-1]),
            **_group(project, steps),
        }


def _all_about(project: Project) -> str:
    """The description of `pkg` in `doit list`, with the packages outside of the set."""
    told, plan = f"the packages of the set {project.plan.set.name}", project.plan
    # For smaller sets, most packages are outside.
    named = ", ".join(plan.outside) if plan.set.root else ""
    return f"{told} (not in it: {named})" if named else told


def _about(project: Project, step: Step) -> str:
    return f"{step.version:<10} {project.plan.recipes[step.name].description}"


def _task(project: Project, step: Step) -> DoitTask:
    builder = Builder(project, step)
    before = project.plan.before(step)
    made = [Stamp(project, each).target for each in before]
    return {
        # doit derives these from the files too, but not for `doit forget -s`.
        "task_dep": [each.task for each in before],
        "file_dep": [project.shown(path) for path in (step_file(project, step), *made)],
        "targets": [project.shown(builder.stamp.target)],
        "setup": ["fetch", "seed"],
        "uptodate": [Known(builder)],
        "actions": [(speaking(builder.build),)],
        "clean": [(_clean, [[builder]])],
    }


def _group(project: Project, steps: list[Step]) -> DoitTask:
    builders = [Builder(project, step) for step in steps]
    return {
        "task_dep": [step.task for step in steps],
        "uptodate": [up_to_date(lambda: all(map(_is_ready, builders)))],
        "actions": None,
        "clean": [(_clean, [builders])],
    }


def _is_ready(builder: Builder) -> bool:
    """Whether the artifact is here. `doit list --status` and `doit info` only ask: for them the
    survey decides, because the plan of now may not be written yet. Raises BuildError.
    """
    project = builder.project
    if project.is_building:
        return builder.is_here()
    return _surveyed(project)[builder.step.task].state == UP_TO_DATE


@cache
def _surveyed(project: Project) -> Mapping[str, StepState]:
    return survey(project)


class Known(UptodateCalculator):  # type: ignore[misc]
    """Whether the artifact of a step is available. doit itself compares the files.

    If doit's database has no entry for the step, because it is new or lost, a run asks the store
    and records the answer. So a lost database costs look-ups, never a compilation.
    """

    def __init__(self, builder: Builder) -> None:
        super().__init__()
        self.builder = builder

    def __call__(self, task: Task, values: Mapping[str, Any]) -> bool:
        """Called by doit before it looks at targets and file dependencies."""
        is_known = self.get_val(task.name, "deps:") is not None
        if is_known or not self.builder.project.is_building:
            return up_to_date(partial(_is_ready, self.builder))()
        known = up_to_date(self.builder.take_over)()
        if known:
            Globals.dep_manager.save_success(task)
        return known


def _clean(builders: list[Builder], dryrun: bool) -> None:
    from rootfs.sandbox.edits import set_aside

    for builder in builders:
        stamp = builder.stamp
        if not (stamp.file.exists() or builder.directory.exists()):
            continue
        print(f"{builder.step.task} - removing {stamp.file}; the store keeps the artifact")
        if not dryrun:
            stamp.remove()
            if kept := set_aside(builder.directory):
                print(f"edits that are in no patch are kept in {kept}")
            remove_tree(builder.directory)


def forget(project: Project, tasks: set[str]) -> None:
    """Make the next run compile the packages of `tasks` again, even if the store has them.

    "pkg:zlib" means the package in all phases.
    """
    for step in project.plan.steps:
        if tasks & {step.task, f"pkg:{step.name}"}:
            Builder(project, step).forget()
