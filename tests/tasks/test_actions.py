"""tasks/actions.py: what an error of the system becomes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from doit.exceptions import InvalidCommand

from plan.errors import BuildError
from tasks.actions import Failed, speaking, up_to_date
from tasks.engine.builder import Builder
from tasks.reporter import reporter_of
from tests.tasks.toy import Checkout


def test_an_error_of_the_system_is_the_failure_of_the_task(tmp_path: Path) -> None:
    failed = speaking((tmp_path / "none").read_text)()
    assert isinstance(failed, Failed)
    assert str(failed.error) == f"{tmp_path}/none: No such file or directory"


def test_what_cannot_be_looked_at_is_not_up_to_date(tmp_path: Path) -> None:
    assert not up_to_date(lambda: bool(tmp_path.read_text()))()


@pytest.mark.fault(
    "the disk of the cache is full when a run that has nothing to do records what it uses",
    "one error with the remedy",
)
def test_a_use_that_cannot_be_recorded(toy: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Builder) -> bool:
        raise BuildError("No space left on device", hint="free some")

    monkeypatch.setattr(Builder, "keep", full)
    project = toy.project()
    reporter: Any = reporter_of(project).__new__(reporter_of(project))
    reporter.is_run, reporter.steps = True, {step.task: step for step in project.plan.steps}
    with pytest.raises(InvalidCommand, match="No space left"):
        reporter.skip_uptodate(SimpleNamespace(name=project.plan.steps[0].task))
