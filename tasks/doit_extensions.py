"""Changes to doit that a plug-in cannot make: a plain `doit` finds no plug-ins in a checkout.

Some methods of the pinned doit version are wrapped:

- `forget` also makes the next run compile the packages again, although the store has their
  artifacts; `clean` says only what it removes (tasks/doit_clean.py);
- an unknown task name gets the nearest name as a hint;
- without a command nothing is built: this project's page is printed;
- `help` and `info` print the pages of this project (tasks/help.py, tasks/info.py);
- a plain `list` shows the parts of a build and their states;
- `boot` and `shell` run in the main thread, which handles signals; all else in doit's threads;
- doit's own output is printed like all output (tasks/console/console.py);
- a parameter is refused if the command does not use it;
- doit commands that make no sense here are unknown, as for `./bq2`;
- its database is only a cache: it may be damaged, and only runs that change something write it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from doit import doit_cmd
from doit.cmd_base import subtasks_iter, tasks_and_deps_iter
from doit.cmd_clean import Clean
from doit.cmd_forget import Forget
from doit.cmd_help import Help
from doit.cmd_ignore import Ignore
from doit.cmd_info import Info
from doit.cmd_list import List
from doit.cmd_resetdep import ResetDep
from doit.cmd_run import Run
from doit.cmd_strace import Strace
from doit.dependency import DatabaseException, JsonDB
from doit.exceptions import InvalidCommand, InvalidDodoFile
from doit.runner import Runner

from plan.errors import BuildError, shortened
from plan.outputs import replacing
from plan.settings.parameters import PARAMETERS
from plan.typed import program, take_as_typed, typed
from tasks import commands
from tasks.actions import caller_directory, refusing
from tasks.console.console import say, taking, undelivered
from tasks.doit_clean import cleaning, require_remembered
from tasks.engine.no_such import no_such
from tasks.engine.project import Project, open_project
from tasks.engine.records.built import needed, recalled
from tasks.engine.seeds.auto import kept
from tasks.engine.trees import source_trees


def project_of_this_run() -> Project:
    """The project with the parameters of doit's command line. Raises InvalidDodoFile."""
    # doit keeps the name=value words here. get_var only returns known names, but the unknown names
    # must be refused.
    given = doit_cmd._CMDLINE_VARS or {}
    try:
        _require_once(sys.argv[1:])
        here = caller_directory()
        words = [word for word in sys.argv[1:] if "=" not in word]
        asks = not words or words[0] not in {*commands.OF_DOIT} - {"run"}
        of_the_last = commands.of_the_last(sys.argv[1:])
        project = open_project(given, os.environ, here=here, last=of_the_last, asks=asks)
    except BuildError as error:
        raise InvalidDodoFile(str(error)) from None
    last = recalled(project.settings)
    take_as_typed(needed(project.settings, kept(project.settings)))
    if last and not project.settings.json:
        # Not in the output: that may be of a program in the image.
        print(f"{' '.join(last)}, as built here last", file=sys.stderr)
    return project


def _require_once(words: Sequence[str]) -> None:
    """Raise BuildError if `words` give two values of a parameter: doit would take the last one."""
    hidden = {each.name for each in PARAMETERS if each.secret}
    seen: dict[str, str] = {}
    for word in words:
        name, is_given, value = word.partition("=")
        if (
            is_given
            and name[:1] != "-"
            and name not in hidden
            and seen.setdefault(name, value) != value
        ):
            both = f"{shortened(f'{name}={seen[name]}')} and {shortened(word)}"
            raise BuildError(f"two values: {both}", where="command line", hint="leave out one")


def install(project: Project) -> None:
    """Wrap doit's methods."""
    Forget._execute = _forgetting(project, Forget._execute)
    Info._execute = _told
    List._execute = _of_parts(project, List._execute)
    Clean._execute = cleaning(project, Clean._execute)
    for command in (Clean, Forget, Info, List):
        command._execute = _said(command._execute)
    for command in (Clean, Forget, Info, List, Run):
        command._execute = _of_its_parameters(project, command._execute)
    Run._execute = _of_a_command(project, Run._execute)
    Runner.select_task = _in_main_thread(Runner.select_task)
    Help._execute = _explained
    for command in (Ignore, ResetDep, Strace):
        command._execute = _unknown
    JsonDB._load = _whatever_is_in_it(JsonDB._load)
    JsonDB.dump = _of_who_writes(project)
    InvalidCommand.__str__ = _with_nearest(project, InvalidCommand.__str__)


def _known(project: Project, plain: list[str]) -> list[str]:
    """All words that name a task, a command or, for `help`, a parameter."""
    steps = project.plan.steps
    packages = {name for step in steps for name in (step.task, f"pkg:{step.name}")}
    fetched = {f"fetch:{step.name}" for step in steps if step.sources}
    unpacked = {f"stage:{step.name}" for step in source_trees(project).values()}
    parameters = [each.name for each in PARAMETERS] if "help" in sys.argv else []
    return [*plain, *project.plan.phases, *packages, *fetched, *unpacked, *parameters]


def _forgetting(project: Project, original: Any) -> Any:
    # doit reads parameter names from the method's signature: wraps keeps them.
    @functools.wraps(original)
    def execute(self: Any, **named: Any) -> Any:
        from tasks.bundle import bundle
        from tasks.packages import forget
        from tasks.products import PRODUCTS

        if not (named["forget_sub"] or named["forget_all"]):
            require_remembered(self)
        result = original(self, **named)
        names = _forgotten(self, **named)
        forget(project, names)
        for name, product in {"bundle": bundle, **PRODUCTS}.items():
            if name in names:
                product(project).forget()
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


def _told(self: Any, pos_args: list[str], hide_status: bool = False) -> int:
    """doit's `info`, with this project's page; 1 if the task would run, as doit's own."""
    from tasks.info import page

    if len(pos_args) != 1:
        raise InvalidCommand(f"info takes one task\n  {typed('info TASK')}")
    tasks = {task.name: task for task in self.task_list}
    if pos_args[0] not in tasks:
        raise InvalidCommand(not_found=pos_args[0])
    task = tasks[pos_args[0]]
    found = None if hide_status else self.dep_manager.get_status(task, tasks, get_log=True)
    for line in page(task, found.status if found else "", found.reasons if found else {}):
        say(line)
    return 0 if found is None or found.status == "up-to-date" else 1


def _of_parts(project: Project, original: Any) -> Any:
    @functools.wraps(original)
    def execute(self: Any, pos_args: list[str], **named: Any) -> Any:
        from tasks import listing

        plain = {"sort": "name", "quiet": True, "template": None}
        if any(value and value != plain.get(name) for name, value in named.items()):
            return original(self, pos_args=pos_args, **named)
        phases = {"pkg": None} | {phase: phase for phase in project.plan.phases}
        if not pos_args:
            lines = listing.parts(project)
        elif len(pos_args) == 1 and pos_args[0] in phases:
            lines = listing.packages(project, phases[pos_args[0]])
        else:
            return original(self, pos_args=pos_args, **named)
        for line in lines:
            print(line)
        return 0

    return execute


def _said(original: Any) -> Any:
    @functools.wraps(original)
    def execute(self: Any, **named: Any) -> Any:
        with refusing(), taking() as self.outstream:
            result = original(self, **named)
        return 1 if undelivered() else result

    return execute


def _whatever_is_in_it(original: Any) -> Any:
    """Treat a damaged database as empty: the store has the facts."""

    def load(self: Any) -> Any:
        try:
            found = original(self)
        except (OSError, ValueError, DatabaseException):
            return {}
        return found if isinstance(found, dict) else {}

    return load


def _of_who_writes(project: Project) -> Any:
    """Ignore write errors, for example a full disk: a lost database costs only look-ups."""

    def dump(self: Any) -> None:
        if not project.only_asks and not project.has_let_go:
            with contextlib.suppress(OSError), replacing(Path(self.name)) as file:
                file.write(self.codec.encode(self._db).encode())

    return dump


def _of_its_parameters(project: Project, original: Any) -> Any:
    @functools.wraps(original)
    def execute(self: Any, **named: Any) -> Any:
        origin = project.settings.origin
        given = [name for name in origin if origin[name] == "command line"]
        called = [] if self.sel_default_tasks else _called(self)
        if wrong := commands.misplaced([self.get_name(), *called], given):
            raise InvalidCommand(wrong)
        if built := commands.built_after(called):
            hint = f"{typed('why pkg:NAME')} and {typed('log pkg:NAME')} look at one package"
            raise InvalidCommand(
                f"{called[0]} is given without {built}: it builds nothing\n  {hint}"
            )
        return original(self, **named)

    return execute


def _of_a_command(project: Project, original: Any) -> Any:
    @functools.wraps(original)
    def execute(self: Any, **named: Any) -> Any:
        if not self.sel_default_tasks:
            return original(self, **named)
        from tasks.help import project_page

        if "command line" in project.settings.origin.values():
            hint = f"{typed('image')} builds the image; {program()} help shows the commands"
            raise InvalidCommand(f"no command is given\n  {hint}")
        with taking():
            for line in project_page():
                say(line)
        return 1 if undelivered() else 0

    return execute


def _in_main_thread(original: Any) -> Any:
    """doit selects each task in the main thread: there one that uses the terminal also runs."""

    def select_task(self: Any, node: Any, tasks: Any) -> bool:
        selected = bool(original(self, node, tasks))
        if selected and node.task.name in commands.ON_TERMINAL:
            self.process_task_result(node, self.execute_task(node.task))
            return False
        return selected

    return select_task


def _explained(self: Any, pos_args: list[str]) -> bool:
    """doit's `help` of one task, or of one command of this project."""
    from tasks.help import BY_NAME, command_page, parameter_page, task_page

    name = pos_args[0]
    tasks = {task.name: task for task in self.task_list}
    if name in commands.COMMANDS:
        page = command_page(name)
    elif name in tasks:
        page = task_page(name, tasks[name].doc)
    elif name in BY_NAME:
        page = parameter_page(name)
    else:
        raise InvalidCommand(not_found=name)
    for line in page:
        say(line)
    return True


def _called(command: Any) -> list[str]:
    """The tasks or groups on the command line, without the arguments of a task."""
    takes_words = {task.name for task in command.task_list if task.pos_arg}
    names: list[str] = []
    for word in command.sel_tasks:
        names.append(word.partition(":")[0])
        if word in takes_words:
            break
    return names


def _unknown(self: Any) -> None:
    raise InvalidCommand(not_found=self.get_name())


def _with_nearest(project: Project, original: Any) -> Any:
    def text(self: InvalidCommand) -> str:
        message = str(original(self)).strip()
        words = [self.not_found] if self.not_found else message.split("'")[1:2]
        if not words or ("not a task" not in message and not self.not_found):
            return message
        plain = [*commands.COMMANDS, *commands.OF_DOIT]
        kind = "command or parameter" if "help" in sys.argv else "task"
        told = f"there is no {kind} {words[0]!r}"
        if words[0] in {each.name for each in PARAMETERS}:
            # `image set base`: no task has the name of a parameter alone.
            return f"{told}\n  it is a parameter: {words[0]}=VALUE"
        if words[0] in commands.OF_DOIT:
            return f"{told}\n  it is a command: {program()} help {words[0]}"
        return str(no_such(project, words[0], _known(project, plain), told=told, listed=plain))

    return text
