"""What doit's `clean` and `forget` say and refuse (tasks/doit_extensions.py installs it).

`clean` is refused while a build runs in the work directory. It says what it removes, and not which
functions it calls. `forget` refuses a task that runs every time.
"""

from __future__ import annotations

import functools
import sys
from typing import Any

from doit.exceptions import InvalidCommand

from plan.typed import program
from tasks.engine.project import Project

# In doit's line for each function that it calls.
_CALL = " - executing 'Python: "


def cleaning(project: Project, original: Any) -> Any:
    """doit's method of the command `clean`, which is `original`, for `project`."""

    @functools.wraps(original)
    def execute(self: Any, **named: Any) -> Any:
        if project.workdir.exists() and not named["dryrun"]:
            project.lock.take(" ".join([program(), *sys.argv[1:]]))
        result = original(self, **named)
        _without_calls(self.outstream)
        return result

    return execute


def _without_calls(out: Any) -> None:
    """Leave only what was removed in the text `out`, or say that nothing was."""
    told = [line for line in out.getvalue().splitlines(keepends=True) if _CALL not in line]
    out.seek(0)
    out.truncate()
    out.write("".join(told) or "nothing that clean removes\n")


def require_remembered(command: Any) -> None:
    """Raise InvalidCommand if a task that the command `forget` names is never up to date."""
    tasks = {task.name: task for task in command.task_list}
    for name in [] if command.sel_default_tasks else command.sel_tasks:
        task = tasks.get(name)  # doit's own method refuses an unknown name
        if task and not (task.has_subtask or task.file_dep or task.targets or task.uptodate):
            raise InvalidCommand(f"{name} runs every time: there is nothing to forget")
