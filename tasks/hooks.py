"""Where doit is extended beyond its plug-ins, which a bare `doit` cannot find in a checkout.

Some of its methods are wrapped, in the version that the requirements pin:

- `forget` also makes the next run compile the forgotten packages again, though the store, which
  doit knows nothing of, holds what they gave;
- a name that is no task is answered with the nearest one;
- a plain list shows the stages of a build and how they stand;
- what doit prints itself goes the way of all output (tasks/console.py);
- a parameter is refused where the command has no use for it;
- commands of doit that make no sense here are as unknown as they are to `./bq2`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from doit.cmd_base import subtasks_iter, tasks_and_deps_iter
from doit.cmd_clean import Clean
from doit.cmd_forget import Forget
from doit.cmd_ignore import Ignore
from doit.cmd_info import Info
from doit.cmd_list import List
from doit.cmd_resetdep import ResetDep
from doit.cmd_run import Run
from doit.cmd_strace import Strace
from doit.exceptions import InvalidCommand

from plan.errors import nearest
from tasks import commands
from tasks.console import taking, undelivered
from tasks.project import project


def install(tasks: Sequence[str]) -> None:
    """Wrap doit's methods. `tasks`: the names of all tasks without a colon."""
    steps = project.plan.steps
    packages = {name for step in steps for name in (step.task, f"pkg:{step.name}")}
    sources = {f"fetch:{step.name}" for step in steps if step.sources}
    plain = [*tasks, *commands.OF_DOIT]
    known = [*plain, *project.plan.phases, *packages, *sources]
    Forget._execute = _forgetting(Forget._execute)
    Info._execute = _of_known(Info._execute)
    List._execute = _of_stages(List._execute)
    for command in (Clean, Forget, Info, List):
        command._execute = _said(command._execute)
    for command in (Clean, Forget, Info, List, Run):
        command._execute = _of_its_parameters(command._execute)
    for command in (Ignore, ResetDep, Strace):
        command._execute = _unknown
    InvalidCommand.__str__ = _with_nearest(
        InvalidCommand.__str__, known, [*tasks, *commands.OF_DOIT]
    )


def _forgetting(original: Any) -> Any:
    # doit reads the names of the parameters off the method's signature: wraps keeps them.
    @functools.wraps(original)
    def execute(self: Any, **named: Any) -> Any:
        from tasks.bundle import bundle
        from tasks.packages import forget
        from tasks.products import image, sysroot

        result = original(self, **named)
        names = _forgotten(self, **named)
        forget(project, names)
        for name, product in (("bundle", bundle), ("image", image), ("sysroot", sysroot)):
            if name in names:
                product.forget()
        return result

    return execute


def _forgotten(
    command: Any, forget_sub: bool, forget_disable_default: bool, forget_all: bool
) -> set[str]:
    """The names of the tasks that `command` forgot, by the rules of doit's own method."""
    tasks = {task.name: task for task in command.task_list}
    if forget_all:
        return set(tasks)
    if command.sel_default_tasks and forget_disable_default:
        return set()
    if forget_sub:
        return {task.name for task in tasks_and_deps_iter(tasks, command.sel_tasks)}
    inside = [subtasks_iter(tasks, tasks[name]) for name in command.sel_tasks]
    return {*command.sel_tasks, *(task.name for subtasks in inside for task in subtasks)}


def _of_known(original: Any) -> Any:
    @functools.wraps(original)
    def execute(self: Any, pos_args: list[str], **named: Any) -> Any:
        known = {task.name for task in self.task_list}
        for name in pos_args:
            if name not in known:
                raise InvalidCommand(not_found=name)
        return original(self, pos_args, **named)

    return execute


def _of_stages(original: Any) -> Any:
    @functools.wraps(original)
    def execute(self: Any, pos_args: list[str], **named: Any) -> Any:
        from tasks import stages

        plain = {"sort": "name", "quiet": True, "template": None}
        if any(value and value != plain.get(name) for name, value in named.items()):
            return original(self, pos_args=pos_args, **named)
        phases = {"pkg": None} | {phase: phase for phase in project.plan.phases}
        if not pos_args:
            lines = stages.stages({task.name: task for task in self.task_list})
        elif len(pos_args) == 1 and pos_args[0] in phases:
            lines = stages.packages(phases[pos_args[0]])
        else:
            return original(self, pos_args=pos_args, **named)
        for line in lines:
            print(line)
        return 0

    return execute


def _said(original: Any) -> Any:
    @functools.wraps(original)
    def execute(self: Any, **named: Any) -> Any:
        with taking() as self.outstream:
            result = original(self, **named)
        return 1 if undelivered() else result

    return execute


def _of_its_parameters(original: Any) -> Any:
    @functools.wraps(original)
    def execute(self: Any, **named: Any) -> Any:
        origin = project.settings.origin
        given = [name for name in origin if origin[name] == "command line"]
        if wrong := commands.misplaced([self.get_name(), *_called(self)], given):
            raise InvalidCommand(wrong)
        return original(self, **named)

    return execute


def _called(command: Any) -> list[str]:
    """The tasks or groups on the command line, without the words that a task takes for itself."""
    takes_words = {task.name for task in command.task_list if task.pos_arg}
    names: list[str] = []
    for word in command.sel_tasks:
        names.append(word.partition(":")[0])
        if word in takes_words:
            break
    return names


def _unknown(self: Any) -> None:
    raise InvalidCommand(not_found=self.get_name())


def _with_nearest(original: Any, task_names: list[str], plain: list[str]) -> Any:
    def text(self: InvalidCommand) -> str:
        message = str(original(self)).strip()
        words = [self.not_found] if self.not_found else message.split("'")[1:2]
        if not words or ("not a task" not in message and not self.not_found):
            return message
        package = words[0].removeprefix("pkg:")
        if package in project.plan.recipes and package not in project.plan.product:
            return f"{package} is not in the set {project.settings.set}\n  with={package} adds it"
        hint = nearest(words[0], task_names, listed=plain)
        return f"there is no task {words[0]!r}\n  {hint}"

    return text
