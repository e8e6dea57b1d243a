"""doit's view of a run, turned into events: where it begins, what fails, how it ends.

doit calls these methods in the main thread, but `execute_task` in the thread of the task.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Mapping
from typing import Any

from doit.exceptions import BaseFail, InvalidCommand, UnmetDependency
from doit.reporter import ConsoleReporter

from plan.errors import BuildError
from tasks import commands, failures, interrupt, outlook, views
from tasks.console import say, undelivered
from tasks.project import project
from tasks.show import write_plan
from tasks.sources import say_what_is_used

# A run of so many seconds is worth a look at the machine before.
LONG = 120


class Reporter(ConsoleReporter):  # type: ignore[misc]
    """The console of a run."""

    desc = "one line for what is done, failures at the end"

    def initialize(self, tasks: Mapping[str, Any], selected: list[str]) -> None:
        """Before the first task: take the work directory, and be ready to be interrupted."""
        self.selected = selected
        self.is_run = not commands.only_reads(selected, project.settings.given)
        self.expected: set[str] = set()
        self.failed: list[dict[str, Any]] = []
        interrupt.install()
        if not self.is_run:
            return
        try:
            project.lock.take(" ".join(["doit", *sys.argv[1:]]))
            if selected != ["gc"]:
                project.store.sweep()
                say_what_is_used()
        except BuildError as error:
            raise InvalidCommand(str(error)) from None
        self._begin(_steps_of(tasks, selected))

    def _begin(self, wanted: set[str]) -> None:
        settings = project.settings
        views.attach(project)
        project.events.begin(
            command=sys.argv[1:],
            set=settings.set,
            arch=settings.arch,
            seed=settings.seed,
            jobs=settings.jobs,
        )
        project.watch.start()
        try:
            found = outlook.survey(project)
            ahead = outlook.ahead(project, [found[task] for task in found if task in wanted])
        except BuildError as error:
            project.events.emit("note", text=f"no forecast: {error}")
            return
        self.expected = set(ahead["costs"])
        if self.expected:
            project.events.emit("forecast", **ahead)
            for name, why in project.plan.without.items():
                project.events.emit("note", text=f"without {name}: {why}")
            # A full disk shall be told by what cannot go on without it.
            with contextlib.suppress(OSError):
                write_plan()
        if ahead["seconds"] >= LONG:
            _warn_of_what_lacks()

    def execute_task(self, task: Any) -> None:
        """Tasks speak for themselves."""

    def skip_uptodate(self, task: Any) -> None:
        """Only what was asked for is worth a line when there is nothing to do."""
        if task.name in self.expected:
            project.events.emit("same", step=task.name)
        if task.name in self.selected:
            say(f"{task.name} is up to date")

    def add_success(self, task: Any) -> None:
        """A group does nothing itself: what was asked for shall be answered all the same."""
        if not task.actions and task.name in self.selected:
            say(f"{task.name} is up to date")

    def add_failure(self, task: Any, fail: BaseFail) -> None:
        """Say it at once; a task that only waited for a failed one is no news."""
        if isinstance(fail, UnmetDependency) or not fail.report:
            return
        project.failed.add(task.name)
        message = str(fail.get_msg()).strip() or fail.get_name()
        facts = failures.told(project, task.name, getattr(fail, "error", None), message)
        self.failed.append(facts)
        if self.is_run:
            project.events.emit("failure", **facts)
        else:
            say(f"\n{failures.card(facts)}\n")

    def complete_run(self) -> None:
        """The failures again, because much may have been printed since."""
        project.watch.stop()
        if self.failed and not project.exit_status:
            project.exit_status = 1
        seconds = round(time.monotonic() - project.events.started, 3)
        project.events.emit("over", status=project.exit_status, seconds=seconds)
        if len(self.failed) > 1:
            say(f"{len(self.failed)} tasks failed:")
            for facts in self.failed:
                say(f"\n{failures.card(facts, tail=False)}")
        for message in self.runtime_errors:
            say(message)
        lost = not commands.only_makes(self.selected) and undelivered()
        if project.exit_status or lost:
            raise SystemExit(project.exit_status or 1)


def _warn_of_what_lacks() -> None:
    """Before hours are spent: what `doit doctor` would complain of, if it ends or slows a build."""
    from tasks.doctor import quick

    for finding in quick(project):
        remedy = finding.remedy.replace("\n", "\n  ")
        project.events.emit("note", text=f"{finding.level}: {finding.found}\n  {remedy}")


def _steps_of(tasks: Mapping[str, Any], selected: list[str]) -> set[str]:
    """The names of all tasks that doit will look at for `selected`."""
    found: set[str] = set()
    waiting = list(selected)
    while waiting:
        name = waiting.pop()
        if name not in found and name in tasks:
            found.add(name)
            waiting += tasks[name].task_dep
    return found
