"""why: shows whether a package would be built again, and the root cause.

current inputs ─────┬─ differ ─▶ which input, old → new
inputs in the stamp ┘
a dependency that must be built ─▶ its reasons, down to the first one
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from plan.errors import BuildError
from plan.model import Step
from plan.steps.json_diff import Difference, differences
from plan.steps.plan import canonical, literal
from plan.typed import typed
from tasks.actions import DoitTask, speaking
from tasks.console.console import say
from tasks.engine.builder import Builder
from tasks.engine.no_such import no_such
from tasks.engine.project import Project
from tasks.engine.records.contradiction import SHORT
from tasks.engine.records.contradiction import told as told_records
from tasks.engine.stamps import Stamp
from tasks.engine.survey import BUILD, CONTRADICTED, STORED, UP_TO_DATE, WAITING, StepState, survey

HASH = re.compile(r"\b[0-9a-f]{64}\b")
OUTCOMES = {
    BUILD: "would be built",
    STORED: "would be taken from the store",
    CONTRADICTED: "is contradicted",
    WAITING: "waits for a contradicted step",
}
WORDS = {
    "step.": "",
    "depends.": "the bytes of ",
    "tools.": "the bytes of the tool ",
    "image.": "what the image says of itself: ",
}


def task_why(project: Project) -> DoitTask:
    """show whether pkg:NAME would be built again, and why

    why pkg:zlib
    """
    return {"actions": [(speaking(_why), [project])], "pos_arg": "targets"}


def steps_named(project: Project, target: str) -> list[Step]:
    """The steps of "pkg:zlib", "zlib" or "sysroot-from-seed:zlib". Raises BuildError."""
    steps = project.plan.steps
    name = target.removeprefix("pkg:")
    found = [step for step in steps if target == step.task or name == step.name]
    if not found:
        packages = dict.fromkeys(f"pkg:{step.name}" for step in steps)
        known = [*packages, *(step.task for step in steps)]
        raise no_such(project, target, known, listed=packages)
    return found


def _why(project: Project, targets: list[str]) -> None:
    if not targets:
        raise BuildError("no package is given", hint=typed("why pkg:NAME"))
    found = survey(project)
    for target in targets:
        for step in steps_named(project, target):
            for line in explained(project, found, step):
                say(line)


def explained(project: Project, found: Mapping[str, StepState], step: Step) -> Iterator[str]:
    """The state of `step`, and the reasons, as lines."""
    state = found[step.task].state
    if state == UP_TO_DATE:
        yield f"{step.task} is up to date: none of its inputs changed"
        passed = _passed_over(project, step, found[step.task].id)
        yield from (f"  when it was built or taken: {line}" for line in passed)
        return
    yield f"{step.task} {_outcome(project, found, step)}"
    yield from (f"  {line}" for line in _reasons(project, found, step, set()))


def _outcome(project: Project, found: Mapping[str, StepState], step: Step) -> str:
    state = found[step.task].state
    again = state == BUILD and Stamp(project, step).read_inputs() is not None
    return OUTCOMES[state] + (" again" if again else "")


def _reasons(
    project: Project, found: Mapping[str, StepState], step: Step, told: set[str]
) -> Iterator[str]:
    """Why `step` is not up to date; each step is explained once."""
    told.add(step.task)
    builder, state = Builder(project, step), found[step.task]
    if builder.stamp.forgotten.exists():
        yield f"it was forgotten ({typed('forget')})"
        return
    if records := project.store.contradicting(state.id or ""):
        yield f"its builds gave different bytes: {typed('choose HASH')} says which is right"
        yield from told_records(project.store, records)
        return
    yield from _passed_over(project, step, state.id)
    before = builder.stamp.read_inputs()
    if before is None:
        yield "this work directory has no earlier build of it"
    else:
        yield from _own_reasons(found, builder, before)
    for each in project.plan.before(step):
        roots = all(found[one.task].is_here for one in project.plan.before(each))
        if not found[each.task].is_here and roots and each.task not in told:
            yield f"{each.task} comes first and {_outcome(project, found, each)}"
            yield from (f"  {line}" for line in _reasons(project, found, each, told))


def _passed_over(project: Project, step: Step, wanted: str | None) -> list[str]:
    """Why no record of the step id `wanted` was taken from a shared cache, as lines."""
    if not wanted or not (project.workdir / "passed").exists():
        return []
    from tasks.engine.taking import passed_over

    return passed_over(project, step, wanted)


def _own_reasons(
    found: Mapping[str, StepState], builder: Builder, before: Mapping[str, Any]
) -> Iterator[str]:
    """The changes in the step itself and in the bytes of its dependencies."""
    made = {task: each.artifact for task, each in found.items() if each.artifact}
    # While a dependency must be built, only the step's own text can be compared.
    now = builder.facts(made) or {"step": literal(builder.step)}
    now = json.loads(canonical(now))
    known = {key: before.get(key) for key in now}
    lines = [line for each in differences(known, now) for line in _in_words(each)]
    if not lines and builder.stamp.read() is None:
        yield "its artifact is missing from the store, or damaged"
    yield from lines


def _in_words(difference: Difference) -> list[str]:
    """A difference as lines; inputs have the names that people use."""
    key = difference.key
    if key.startswith("image.packages") or key == "build_root" or key == "format":
        return []  # the same fact again, as a hash or by number
    for part, words in WORDS.items():
        if key.startswith(part):
            key = words + key.removeprefix(part)
    return [HASH.sub(lambda m: m[0][:SHORT], line) for line in difference.lines(key)]
