"""Turns doit's view of a run into events: its start, its failures and its end.

doit calls these methods in the main thread, but `execute_task` in the thread of the task.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

from doit.exceptions import BaseFail, UnmetDependency
from doit.reporter import ConsoleReporter

from plan.errors import BuildError
from plan.typed import program
from tasks import commands, forecast
from tasks.actions import as_told, refusing
from tasks.beforehand import check
from tasks.console import interrupt, views
from tasks.console.console import say, undelivered
from tasks.engine import failures, survey
from tasks.engine.builder import Builder
from tasks.engine.project import Project
from tasks.engine.records.built import remember
from tasks.engine.seeds.auto import keep_choice
from tasks.engine.sources import say_what_is_used
from tasks.products import PRODUCTS

# From this duration on, a run checks the machine first.
LONG = 120
# doit's exit status for an error of its own.
ERROR = 3


def reporter_of(project: Project) -> type[Reporter]:
    """The reporter class for runs of `project`: doit makes the instance itself."""
    return type("ReporterOfProject", (Reporter,), {"project": project})


class Reporter(ConsoleReporter):  # type: ignore[misc]
    """The console output of a run."""

    project: Project

    desc = "one line per finished task, failures at the end"

    def initialize(self, tasks: Mapping[str, Any], selected: list[str]) -> None:
        """Before the first task: lock the work directory and handle signals."""
        self.selected = selected
        self.is_run = not commands.only_reads(selected, self.project.settings.given)
        self.expected: set[str] = set()
        self.steps = {step.task: step for step in self.project.plan.steps}
        self.project.asked, self.project.only_asks = frozenset(selected), True
        self.failed: list[dict[str, Any]] = []
        interrupt.install()
        self._check_beforehand(tasks)
        if not self.is_run:
            return
        with refusing():
            self.project.lock.take(" ".join([program(), *sys.argv[1:]]))
            self.project.only_asks, self.project.is_building = False, True
            if self.project.choice:
                keep_choice(self.project.settings, self.project.choice)
                say(str(self.project.choice))
            if selected != ["gc"]:
                self.project.store.sweep()
                say_what_is_used(self.project)
        self._begin(_steps_of(tasks, selected))

    def _check_beforehand(self, tasks: Mapping[str, Any]) -> None:
        with refusing():
            self.project.taking  # noqa: B018  a wrong file of trust= is an error now
            if self.is_run and _steps_of(tasks, self.selected) & {*self.steps}:
                self.project.seed  # noqa: B018  and so is a release of the seed that is none
            for name in self.selected:
                check(self.project, name, tasks[name].pos_arg_val or [])

    def _begin(self, wanted: set[str]) -> None:
        settings = self.project.settings
        views.attach(self.project)
        self.project.wanted = frozenset(wanted)
        if PRODUCTS.keys() & wanted:
            remember(settings)
        self.project.events.begin(
            command=sys.argv[1:],
            set=settings.set,
            arch=settings.arch,
            seed=settings.seed,
            jobs=settings.jobs,
        )
        self.project.watch.start()
        try:
            found = self._surveyed(wanted)
            ahead = survey.ahead(self.project, [found[task] for task in found if task in wanted])
        except (BuildError, OSError) as error:
            self.project.events.emit("note", text=f"no forecast: {as_told(error)}")
            return
        self.expected = set(ahead["costs"])
        self.project.expected = frozenset(self.expected)
        if told := forecast.warning(self.project, ahead, wanted):
            self.project.events.emit("note", text=told)
        if self.expected:
            self.project.events.emit("forecast", **ahead)
            for name, why in self.project.plan.without.items():
                self.project.events.emit("note", text=f"without {name}: {why}")
        if ahead["seconds"] >= LONG:
            _warn_of_what_lacks(self.project)

    def _surveyed(self, wanted: set[str]) -> Mapping[str, survey.StepState]:
        """The state of each step, after shared caches were asked for what is to be built."""
        found = survey.survey(self.project)
        lacking = {each.step.task for each in survey.of_state(found.values(), survey.BUILD)}
        if lacking & wanted and (taking := self.project.taking):
            taking.fill(wanted)
            found = survey.survey(self.project)
        return found

    def execute_task(self, task: Any) -> None:
        """Print nothing: tasks print their own lines."""

    def skip_uptodate(self, task: Any) -> None:
        """Print a line only for the requested tasks, if they are up to date."""
        if self.is_run and task.name in self.steps:
            # Until now doit could still find that a file differs.
            with refusing():
                Builder(self.project, self.steps[task.name]).keep()
            failures.report_file(self.project, self.steps[task.name]).unlink(missing_ok=True)
        if task.name in self.expected:
            self.project.events.emit("same", step=task.name)
        if task.name in self.selected:
            say(f"{task.name} is up to date")

    def add_success(self, task: Any) -> None:
        """Print a line for a requested group: it has no action of its own."""
        if not task.actions and task.name in self.selected:
            say(f"{task.name} is up to date")

    def add_failure(self, task: Any, fail: BaseFail) -> None:
        """Report a failure at once, but not a task that only waited for a failed one."""
        if isinstance(fail, UnmetDependency) or not fail.report:
            return
        self.project.failed.add(task.name)
        message = str(fail.get_msg()).strip() or fail.get_name()
        facts = failures.told(self.project, task.name, getattr(fail, "error", None), message)
        self.failed.append(facts)
        if self.is_run:
            self.project.events.emit("failure", **facts)
        else:
            say(f"ERROR: {message}", "bad")

    def complete_run(self) -> None:
        """Repeat the failures at the end: they may have scrolled away.

        Raises SystemExit with the status of this process, unless an error ends it already.
        """
        error = sys.exc_info()[1]
        self.project.watch.stop()
        if self.failed and not self.project.exit_status:
            self.project.exit_status = 1
        self.project.events.emit(
            "over",
            status=self._status(error),
            seconds=round(time.monotonic() - self.project.events.started, 3),
            signal=interrupt.name(),
        )
        if len(self.failed) > 1 and self.is_run:
            say(f"{len(self.failed)} tasks failed:")
            for facts in self.failed:
                say(f"\n{failures.card(facts, tail=False)}")
        for message in self.runtime_errors:
            say(message)
        lost = not commands.only_makes(self.selected) and undelivered()
        if not error and (self.project.exit_status or lost):
            raise SystemExit(self.project.exit_status or 1)

    def _status(self, error: BaseException | None) -> int:
        """The exit status of this process; `error`: what ends it, if it does not end by itself."""
        if isinstance(error, SystemExit) and isinstance(error.code, int):
            return error.code
        if error:
            return ERROR
        if self.runtime_errors:
            return self.project.exit_status or ERROR
        return self.project.exit_status


def _warn_of_what_lacks(project: Project) -> None:
    """Show the problems that `doit doctor` finds, if they would stop or slow a build."""
    from tasks.doctor import quick

    for finding in quick(project):
        remedy = finding.remedy.replace("\n", "\n  ")
        project.events.emit("note", text=f"{finding.level}: {finding.found}\n  {remedy}")


def _steps_of(tasks: Mapping[str, Any], selected: list[str]) -> set[str]:
    """The names of all tasks that doit checks for `selected`."""
    found: set[str] = set()
    waiting = list(selected)
    while waiting:
        name = waiting.pop()
        if name not in found and name in tasks:
            found.add(name)
            waiting += tasks[name].task_dep
    return found
