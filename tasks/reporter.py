"""What a run prints: a line for what is done, none for what stands, failures again at the end.

doit calls these methods in the main thread, but `execute_task` in the thread of the task.
"""

from __future__ import annotations

import sys
from typing import Any

from doit.exceptions import BaseFail, InvalidCommand, UnmetDependency
from doit.reporter import ConsoleReporter

from plan.errors import BuildError
from tasks import interrupt
from tasks.console import say
from tasks.project import project

# Tasks that only show something, or that must be possible while a build is running.
WITHOUT_LOCK = {"settings", "plan", "test", "bench"}


class Reporter(ConsoleReporter):  # type: ignore[misc]
    """The console of a run."""

    desc = "one line for what is done, failures at the end"

    def initialize(self, tasks: dict[str, Any], selected: list[str]) -> None:
        """Before the first task: take the work directory, and be ready to be interrupted."""
        self.selected = selected
        interrupt.install()
        if set(selected) <= WITHOUT_LOCK:
            return
        try:
            project.store.sweep()
            project.lock.take(" ".join(["doit", *sys.argv[1:]]))
        except BuildError as error:
            raise InvalidCommand(str(error)) from None

    def execute_task(self, task: Any) -> None:
        """Tasks speak for themselves."""

    def skip_uptodate(self, task: Any) -> None:
        """Only what was asked for is worth a line when there is nothing to do."""
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
        self.failures.append({"task": task, "exception": fail})
        say(f"\n{task.name} FAILED\n  {self._text(fail)}\n")

    def complete_run(self) -> None:
        """The failures again, because much may have been printed since."""
        if len(self.failures) > 1:
            say(f"{len(self.failures)} tasks failed:")
            for failure in self.failures:
                first = self._text(failure["exception"]).splitlines()[0]
                say(f"  {failure['task'].name}: {first}")
        for message in self.runtime_errors:
            say(message)
        if project.exit_status:
            raise SystemExit(project.exit_status)

    @staticmethod
    def _text(fail: BaseFail) -> str:
        return (str(fail.get_msg()).strip() or fail.get_name()).replace("\n", "\n  ")
