"""settings, plan: show what a run would use, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator

from plan.errors import BuildError
from plan.settings.parameter import Parameter
from plan.settings.parameters import PARAMETERS
from plan.settings.settings import Settings
from plan.typed import typed
from tasks.actions import DoitTask, speaking, up_to_date
from tasks.console.console import say
from tasks.console.table import table
from tasks.engine.plan_files import authored, digest_file, is_written, step_file, write_plan
from tasks.engine.project import Project


def task_settings(project: Project) -> DoitTask:
    """show each parameter, its value, and where the value comes from

    settings
    """
    return {"actions": [(speaking(_settings), [project])]}


def task_plan(project: Project) -> DoitTask:
    """write plan.json: every step with its commands, environment and inputs

    plan                      writes work/plan.json
    plan diff=1               shows what changed since the last plan
    """
    if project.settings.diff:
        return {"actions": [(speaking(_show_changes), [project])]}
    steps = [step_file(project, step) for step in project.plan.steps]
    return {
        "file_dep": [project.shown(path) for path in authored(project)],
        "targets": [
            project.shown(path) for path in (project.plan_file, *steps, digest_file(project))
        ],
        "uptodate": [up_to_date(lambda: is_written(project))],
        "actions": [(speaking(_plan), [project])],
        "clean": True,
    }


def _settings(project: Project) -> None:
    settings = project.settings
    rows = [
        (each.name, _shown(each, settings), settings.origin[each.name], each.help)
        for each in PARAMETERS
    ]
    for line in table(rows):
        say(line)


def _shown(parameter: Parameter, settings: Settings) -> str:
    value = settings.values[parameter.name] or "-"
    return "(secret)" if parameter.secret and value != "-" else value


def _plan(project: Project) -> None:
    if not project.is_building:
        # A run that builds from an older plan would record its steps as built from this one.
        project.lock.take(typed("plan"))
    write_plan(project)
    if "plan" not in project.asked:
        return
    plan = project.plan
    say(f"{project.plan_file}: {len(plan.steps)} steps, digest {plan.digest}")
    for name, why in plan.without.items():
        say(f"without {name}: {why}")


def _show_changes(project: Project) -> None:
    for line in _changes(project):
        say(line)


def _changes(project: Project) -> Iterator[str]:
    """The differences between the plan that was run or written last and the current plan."""
    from plan.steps.json_diff import differences
    from plan.steps.plan import canonical, literal
    from tasks.engine.survey import ahead, survey
    from tasks.status import told_next

    try:
        before = json.loads(project.plan_file.read_text())
        old = {f"{step['phase']}:{step['name']}": literal(step) for step in before["steps"]}
    except (OSError, ValueError, KeyError, TypeError):
        raise BuildError(
            "there is no earlier plan to compare with",
            where=str(project.plan_file),
            hint=f"{typed('plan')} writes one, as every build does",
        ) from None
    new = {step.task: json.loads(canonical(literal(step))) for step in project.plan.steps}
    for task in dict.fromkeys([*old, *new]):
        if task not in old or task not in new:
            yield f"{task} is {'new' if task not in old else 'gone'}"
        elif old[task] != new[task]:
            yield task
            for each in differences(old[task], new[task]):
                yield from (f"  {line}" for line in each.lines(each.key))
    yield f"next: {told_next(ahead(project, survey(project).values()))}"
