"""settings, plan: what a run would use, for people and for other programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from plan.errors import BuildError
from plan.parameters import PARAMETERS
from rootfs.files import replacing
from tasks.console import say, speaking
from tasks.outlook import ahead, survey
from tasks.project import project
from tasks.status import told_next


def task_settings() -> dict[str, Any]:
    """each parameter, its value, and where that came from"""
    return {"actions": [(speaking(_settings),)]}


def task_plan() -> dict[str, Any]:
    """write plan.json: every step with its literal commands, environment and inputs"""
    return {"actions": [(speaking(_plan),)]}


def _settings() -> None:
    settings = project.settings
    for parameter in PARAMETERS:
        value, origin = settings.values[parameter.name], settings.origin[parameter.name]
        say(f"{parameter.name:<9} {value or '-':<12} {origin:<13} {parameter.help}")


def _plan() -> None:
    if project.settings.diff:
        for line in _changes():
            say(line)
        return
    write_plan()
    plan = project.plan
    say(f"{project.plan_file}: {len(plan.steps)} steps, digest {plan.digest}")
    for name, why in plan.without.items():
        say(f"without {name}: {why}")


def write_plan() -> None:
    """Write plan.json: the plan of now, with the seed as it is used."""
    with replacing(project.plan_file) as file:
        file.write(project.plan.as_json(project.seed.describe()).encode())


def _changes() -> Iterator[str]:
    """What differs between the plan that was run or written last and the one of now."""
    from plan.differences import differences
    from plan.plan import canonical, literal

    try:
        before = json.loads(project.plan_file.read_text())
        old = {f"{step['phase']}:{step['name']}": literal(step) for step in before["steps"]}
    except (OSError, ValueError, KeyError, TypeError):
        raise BuildError(
            "there is no plan of before to compare with",
            where=str(project.plan_file),
            hint="`doit plan` writes one, as every build does",
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
