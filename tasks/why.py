"""why: whether a package would be built again, and the root of it.

the inputs of now ─┬─ differ ─▶ which, old → new
those of the stamp ┘
a dependency that is to be built itself ─▶ the reasons of that one, down to the first
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from plan.differences import Difference, differences
from plan.errors import BuildError, nearest
from plan.model import Step
from plan.plan import canonical, literal
from tasks.builder import Builder
from tasks.console import say, speaking
from tasks.contradiction import told as told_records
from tasks.outlook import BUILD, STANDS, STORED, Standing, survey
from tasks.project import project

SHORT = 12  # digits of a hash
HASH = re.compile(r"\b[0-9a-f]{64}\b")
WORDS = {
    "step.": "",
    "depends.": "the bytes of ",
    "tools.": "the bytes of the tool ",
    "image.": "what the image says of itself: ",
}


def task_why() -> dict[str, Any]:
    """whether pkg:NAME would be built again, and because of what"""
    return {"actions": [(speaking(_why),)], "pos_arg": "targets"}


def steps_named(target: str) -> list[Step]:
    """The steps that "pkg:zlib", "zlib" or "sysroot-from-seed:zlib" means. Raises BuildError."""
    steps = project.plan.steps
    name = target.removeprefix("pkg:")
    found = [step for step in steps if target == step.task or name == step.name]
    if not found:
        known = [name for step in steps for name in (f"pkg:{step.name}", step.task)]
        raise BuildError(f"there is no package {target!r}", hint=nearest(target, known))
    return found


def _why(targets: list[str]) -> None:
    if not targets:
        raise BuildError("which package?", hint="doit why pkg:NAME")
    found = survey(project)
    for target in targets:
        for step in steps_named(target):
            for line in explained(found, step):
                say(line)


def explained(found: Mapping[str, Standing], step: Step) -> Iterator[str]:
    """How `step` stands, and why, in lines."""
    state = found[step.task].state
    if state == STANDS:
        yield f"{step.task} stands: nothing that it depends on is other than it was"
        return
    outcome = {BUILD: "would be built again", STORED: "would be taken from the store"}[state]
    yield f"{step.task} {outcome}"
    yield from (f"  {line}" for line in _reasons(found, step, set()))


def _reasons(found: Mapping[str, Standing], step: Step, told: set[str]) -> Iterator[str]:
    """Why `step` does not stand as it is, each step told of once."""
    told.add(step.task)
    builder = Builder(project, step)
    if builder.stamp.forgotten.exists():
        yield "it was forgotten (doit forget)"
        return
    if records := project.store.contradicting(found[step.task].id or ""):
        yield "its builds gave different bytes: doit choose HASH says which is right"
        yield from told_records(project.store, records)
        return
    before = builder.stamp.read_inputs()
    if before is None:
        yield "nothing is known of an earlier build of it in this work directory"
    else:
        yield from _own_reasons(found, builder, before)
    for each in project.plan.before(step):
        roots = all(found[one.task].state != BUILD for one in project.plan.before(each))
        if found[each.task].state == BUILD and roots and each.task not in told:
            yield f"{each.task} comes before it and would be built again"
            yield from (f"  {line}" for line in _reasons(found, each, told))


def _own_reasons(
    found: Mapping[str, Standing], builder: Builder, before: Mapping[str, Any]
) -> Iterator[str]:
    """What of the step itself, and of the bytes that it depends on, is not as it was."""
    made = {task: each.artifact for task, each in found.items() if each.artifact}
    # While something before it is to be built, only its own words can be compared.
    now = builder.facts(made) or {"step": literal(builder.step)}
    now = json.loads(canonical(now))
    known = {key: before.get(key) for key in now}
    lines = [line for each in differences(known, now) for line in _in_words(each)]
    if not lines and builder.stamp.read() is None:
        yield "its artifact is gone from the store, or damaged"
    yield from lines


def _in_words(difference: Difference) -> list[str]:
    """A difference as lines, the parts of the inputs by the names that people have for them."""
    key = difference.key
    if key.startswith("image.packages") or key == "build_root" or key == "format":
        return []  # the same again, as one hash or by number
    for part, words in WORDS.items():
        if key.startswith(part):
            key = words + key.removeprefix(part)
    return [HASH.sub(lambda m: m[0][:SHORT], line) for line in difference.lines(key)]
