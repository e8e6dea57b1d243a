"""choose: which of the artifacts of a contradicted step is believed from now on.

doit choose          all that is to be chosen
doit choose HASH     the artifact that begins so; gc frees the others
"""

from __future__ import annotations

from typing import Any

from plan.errors import BuildError
from tasks.console import say, speaking
from tasks.contradiction import SHORT, told
from tasks.project import project


def task_choose() -> dict[str, Any]:
    """which artifact of a step is believed whose builds contradict each other: choose HASH"""
    return {"actions": [(speaking(_choose),)], "pos_arg": "targets"}


def _choose(targets: list[str]) -> None:
    if not targets:
        _show()
    for target in targets:
        found = {
            record.artifact: record
            for records in project.store.contradicted()
            for record in records
            if record.artifact.startswith(target)
        }
        if len(found) != 1 or len(target) < SHORT:
            raise BuildError(
                f"{target!r} is not the artifact of one step whose builds contradict",
                hint=f"give {SHORT} digits or more of it; doit choose shows them all",
            )
        (chosen,) = found.values()
        project.store.choose(chosen)
        say(f"pkg:{chosen.name} ({chosen.phase}): {chosen.artifact[:SHORT]} is believed")


def _show() -> None:
    found = project.store.contradicted()
    for records in found:
        say(f"pkg:{records[0].name} ({records[0].phase})")
        for line in told(project.store, records):
            say(f"  {line}")
    if not found:
        say("there is nothing to choose: no builds contradict")
