"""Where doit is extended beyond its plug-ins, which a bare `doit` cannot find in a checkout.

Two of its methods are wrapped, in the version that the requirements pin:

- `forget` also makes the next run compile the forgotten packages again, though the store, which
  doit knows nothing of, holds what they gave;
- a name that is no task is answered with the nearest one.
"""

from __future__ import annotations

import functools
from typing import Any

from doit.cmd_forget import Forget
from doit.exceptions import InvalidCommand

from plan.errors import nearest
from tasks.project import project

TASKS = (
    *("bench", "boot", "fetch", "image", "lock", "pkg", "plan", "seed", "settings", "shell"),
    *("sysroot", "test"),
)
COMMANDS = ("clean", "forget", "help", "info", "list", "run")


def install() -> None:
    """Wrap doit's methods."""
    steps = project.plan.steps.values()
    packages = [f"pkg:{step.name}" for step in steps]
    sources = [f"fetch:{step.name}" for step in steps if step.sources]
    known = [*TASKS, *COMMANDS, *packages, *sources]
    Forget._execute = _forgetting(Forget._execute)
    InvalidCommand.__str__ = _with_nearest(InvalidCommand.__str__, known)


def _forgetting(original: Any) -> Any:
    # doit reads the names of the parameters off the method's signature: wraps keeps them.
    @functools.wraps(original)
    def execute(self: Any, *arguments: Any, **named: Any) -> Any:
        from tasks.packages import forget

        result = original(self, *arguments, **named)
        every = list(project.plan.steps)
        if named.get("forget_all") or "pkg" in (self.sel_tasks or ()):
            forget(project, every)
        else:
            chosen = {name.removeprefix("pkg:") for name in self.sel_tasks or ()}
            forget(project, [name for name in every if name in chosen])
        return result

    return execute


def _with_nearest(original: Any, task_names: list[str]) -> Any:
    def text(self: InvalidCommand) -> str:
        message = str(original(self)).strip()
        words = [self.not_found] if self.not_found else message.split("'")[1:2]
        if not words or ("not a task" not in message and not self.not_found):
            return message
        return f"there is no task {words[0]!r}\n  {nearest(words[0], task_names)}"

    return text
