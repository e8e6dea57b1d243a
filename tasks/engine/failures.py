"""Failures: a card for people, a report for programs, and the next commands to use.

    StepFailed ──log──▶ diagnosis ──▶ failure event ──▶ card
                                  └─▶ work/failures/<phase>-<name>.json

A report stays until a run finds its step up to date.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plan.errors import BuildError
from plan.outputs import write_file
from plan.typed import typed
from rootfs.archives.files import last_bytes

if TYPE_CHECKING:
    from plan.model import Step
    from tasks.engine.project import Project
    from tasks.engine.records.events import Event
    from tasks.engine.survey import StepState

TAIL = 60  # lines of the log in a report
SHOWN = 15  # lines on a card


def told(project: Project, task: str, error: BuildError | None, message: str) -> dict[str, Any]:
    """The facts of the failure of `task`, for its event. Write the report if the task is a step."""
    from rootfs.sandbox.step import StepFailed

    steps = {step.task: step for step in project.plan.steps}
    step = error.step if isinstance(error, StepFailed) else steps.get(task)
    facts: dict[str, Any] = {"task": task, "message": message}
    if step is None:
        return facts
    facts["step"] = step.task
    if isinstance(error, StepFailed):
        facts |= _diagnosed(error)
    report = report_file(project, step)
    facts["report"] = str(report)
    inputs = {"environment": dict(step.environment), "version": step.version}
    try:
        write_file(report, json.dumps(facts | inputs, indent=1) + "\n")
    except OSError:
        # A full disk is also the likely cause of the failure.
        del facts["report"]
    return facts


def _diagnosed(error: Any) -> dict[str, Any]:
    from rootfs.sandbox.diagnosis import diagnose

    text = _end_of(error.log)
    found = diagnose(text, error.step.commands, error.result.status)
    return {
        "command": list(error.command.argv),
        "directory": error.command.cwd,
        "status": error.result.status,
        "seconds": error.result.seconds,
        "error": found.error,
        "cause": found.cause,
        "remedy": found.remedy,
        "log": str(error.log),
        "tail": text.splitlines()[-TAIL:],
    }


def _end_of(log: Path) -> str:
    """The end of `log` that a diagnosis reads: the whole log may be too large."""
    from rootfs.sandbox.diagnosis import READ

    try:
        return last_bytes(log, READ).decode(errors="replace")
    except OSError:
        return ""


def report_file(project: Project, step: Step) -> Path:
    """The path of the report of a failure of `step`."""
    return project.workdir / "failures" / f"{step.file_stem}.json"


def report(project: Project, step: Step) -> Mapping[str, Any] | None:
    """The report of the last failure of `step`, or None if no run failed since it was built."""
    try:
        return dict(json.loads(report_file(project, step).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def reports(project: Project, states: Iterable[StepState]) -> list[Mapping[str, Any]]:
    """The reports of the steps that failed, and are not here since: perhaps by another recipe."""
    found = [report(project, each.step) for each in states if not each.is_here]
    return [each for each in found if each]


def card(event: Event, *, tail: bool = True) -> str:
    """The text about a failure for people: what, why, where to look, and what to do next.

    `tail`: include the end of the log.
    """
    if "status" not in event:
        indented = event["message"].replace("\n", "\n  ")
        return f"{event['task']} FAILED\n  {indented}"
    phase, _, name = event["step"].partition(":")
    rows = [
        ("error", event["error"]),
        ("cause", event["cause"]),
        ("remedy", event["remedy"]),
        ("command", f"{_short(event['command'])}, status {event['status']}"),
        ("log", event["log"]),
        ("report", event.get("report", "")),
        *zip(("next", "", ""), _next(name), strict=True),
    ]
    lines = [f"  {label:<8} {text}" for label, text in rows if text]
    end = [f"    | {line}" for line in event["tail"][-SHOWN:]] if tail else []
    return "\n".join([f"pkg:{name} FAILED ({phase})", *end, *lines])


def _next(name: str) -> list[str]:
    """The commands to use after a failure of the package `name`, as aligned lines."""
    purposes = {
        typed(f"log pkg:{name}"): "the whole log",
        typed(f"shell pkg:{name}"): "a shell in the failed build",
        typed(f"why pkg:{name}"): "the changes since the last successful build",
    }
    width = max(map(len, purposes))
    return [f"{command:<{width}}   {purpose}" for command, purpose in purposes.items()]


def headline(report: Mapping[str, Any]) -> str:
    """The failure as one line."""
    what = report.get("error") or report["message"].splitlines()[0]
    cause = f" ({report['cause']})" if report.get("cause") else ""
    return f"{report['step']}: {what}{cause}"


def _short(command: list[str]) -> str:
    """A command as one line; a script is not shown."""
    return "its script" if command[0] == "sh" else " ".join(command)[:120]
