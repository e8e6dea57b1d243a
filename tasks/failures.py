"""What failed: a card for people, a report for programs, and how to go on.

    StepFailed ──log──▶ diagnosis ──▶ failure event ──▶ card
                                  └─▶ work/failures/<phase>-<name>.json

A report lasts until its step stands.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plan.errors import BuildError
from rootfs.files import last_bytes, replacing

if TYPE_CHECKING:
    from plan.model import Step
    from tasks.events import Event
    from tasks.project import Project

TAIL = 60  # lines of the log in a report
SHOWN = 15  # on a card


def told(project: Project, task: str, error: BuildError | None, message: str) -> dict[str, Any]:
    """The facts of the failure of `task`, for its event. Writes the report, if it is of a step."""
    from rootfs.step import StepFailed

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
        with replacing(report) as file:
            file.write(json.dumps(facts | inputs, indent=1).encode() + b"\n")
    except OSError:
        # A full disk is the likeliest reason for the failure itself.
        del facts["report"]
    return facts


def _diagnosed(error: Any) -> dict[str, Any]:
    from rootfs.diagnosis import diagnose

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
    """As much of the end of `log` as a diagnosis looks at: all of it may be too much to read."""
    from rootfs.diagnosis import READ

    try:
        return last_bytes(log, READ).decode(errors="replace")
    except OSError:
        return ""


def report_file(project: Project, step: Step) -> Path:
    """Where the report of a failure of `step` lies, if it failed."""
    return project.workdir / "failures" / f"{step.phase}-{step.name}.json"


def report(project: Project, step: Step) -> Mapping[str, Any] | None:
    """The report of the last failure of `step`, if it failed and did not stand since."""
    try:
        return dict(json.loads(report_file(project, step).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def card(event: Event, *, tail: bool = True) -> str:
    """What a person is told of a failure: what, why, where to look, and how to go on.

    `tail`: with the end of the log.
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
        ("go on", f"doit log pkg:{name}     all that it printed"),
        ("", f"doit shell pkg:{name}   the build, as it was left"),
        ("", f"doit why pkg:{name}     what is not as it was when it was built last"),
    ]
    lines = [f"  {label:<8} {text}" for label, text in rows if text]
    end = [f"    | {line}" for line in event["tail"][-SHOWN:]] if tail else []
    return "\n".join([f"pkg:{name} FAILED ({phase})", *end, *lines])


def headline(report: Mapping[str, Any]) -> str:
    """The failure in one line."""
    what = report.get("error") or report["message"].splitlines()[0]
    cause = f" ({report['cause']})" if report.get("cause") else ""
    return f"{report['step']}: {what}{cause}"


def _short(command: list[str]) -> str:
    """A command in one line: of a script only that it is one."""
    return "its script" if command[0] == "sh" else " ".join(command)[:120]
