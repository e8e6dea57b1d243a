"""choose: says which artifact is right if builds of a step gave different bytes.

doit choose          shows all contradictions
doit choose HASH     uses the artifact whose hash begins with HASH; gc frees the others
"""

from __future__ import annotations

from plan.errors import BuildError
from plan.typed import typed
from tasks.actions import DoitTask, speaking
from tasks.console.console import say
from tasks.engine.project import Project
from tasks.engine.records.contradiction import SHORT, told


def task_choose(project: Project) -> DoitTask:
    """choose the right artifact of a contradicted step: choose HASH

    choose                    shows all contradictions
    choose 0123456789ab       uses the artifact whose hash begins like this
    """
    return {"actions": [(speaking(_choose), [project])], "pos_arg": "targets"}


def _choose(project: Project, targets: list[str]) -> None:
    if not targets:
        _show(project)
    for target in targets:
        found = [
            record
            for records in project.store.contradicted()
            for record in records
            if record.artifact.startswith(target)
        ]
        if len({each.artifact for each in found}) != 1 or len(target) < SHORT:
            raise BuildError(
                f"{target!r} is not exactly one artifact of a contradicted step",
                hint=f"give at least {SHORT} digits of its hash; {typed('choose')} shows them",
            )
        for chosen in found:  # an edited recipe is another step, and may give the same
            project.store.choose(chosen)
            used = f"{chosen.artifact[:SHORT]} is used from now on"
            say(f"pkg:{chosen.name} ({chosen.phase}): {used}")


def _show(project: Project) -> None:
    found = project.store.contradicted()
    for records in found:
        say(f"pkg:{records[0].name} ({records[0].phase})")
        for line in told(project.store, records):
            say(f"  {line}")
    if not found:
        say("nothing to choose: no builds contradict each other")
