"""status: what is up to date, running, failed, and what the next build will do.

    stamps, store ──▶ survey ─┐
    work/failures/ ───────────┼──▶ lines for people, or json=1
    events.jsonl, lock ───────┘

It writes nothing and takes no lock, so it can be asked while a build is running.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from plan.typed import program, typed
from rootfs.sandbox.host import existing
from tasks.actions import DoitTask, speaking
from tasks.console.console import say
from tasks.console.table import folded
from tasks.engine import failures
from tasks.engine.project import Project
from tasks.engine.records.contradiction import SHORT
from tasks.engine.records.duration import in_words
from tasks.engine.records.events import Event, read, runs
from tasks.engine.records.outcome import RUNNING, is_holder, outcome
from tasks.engine.records.verdicts import DIFFERS, Verified
from tasks.engine.survey import StepState, ahead, survey, tally, tally_in_words, told_plan


def task_status(project: Project) -> DoitTask:
    """show what is up to date, running, failed and to be built; json=1

    status                    also while a build runs
    status json=1             for programs
    """
    return {"actions": [(speaking(_status), [project])]}


RUNS = 3  # runs in `doit status`
ALARMS = ("failed:", "CONTRADICTED:", "DIFFERS:")


@dataclass(frozen=True)
class Status:
    """The content of `doit status`, as plain data."""

    set: str
    arch: str
    phases: Mapping[str, Mapping[str, int]]
    """How many steps of each phase are in each state."""
    running: Mapping[str, Any] | None
    runs: list[Mapping[str, Any]]
    """The last runs, newest first."""
    failed: list[Mapping[str, Any]]
    contradicted: Mapping[str, list[str]]
    """The artifacts of each contradicted step, the used one first."""
    differs: list[str]
    """The steps for which `doit verify` made other bytes than the current artifact."""
    next: Mapping[str, Any]
    disk: Mapping[str, int]
    broken_events: int


def _status(project: Project) -> None:
    status = gather(project)
    if project.settings.json:
        say(json.dumps(vars(status), indent=1))
    else:
        for line in lines(project, status):
            say(folded(line), "bad" if line.startswith(ALARMS) else "")


def gather(project: Project) -> Status:
    """The status of this work directory; missing files are fine."""
    found = survey(project)
    events, broken = read(project.events.path)
    last = list(runs(events))[-RUNS:][::-1]
    holder = project.lock.holder()
    return Status(
        set=project.settings.set,
        arch=project.settings.arch,
        phases={phase: tally(found.values(), phase) for phase in project.plan.phases},
        running=_running(holder, last),
        runs=[_told_of(run, holder) for run in last],
        failed=failures.reports(project, found.values()),
        contradicted=_contradicted(project, found),
        differs=_differs(project, found),
        next=ahead(project, found.values()),
        disk=_disk(project),
        broken_events=broken,
    )


def on_workers(project: Project) -> set[str]:
    """The steps that the run of this work directory has on workers now."""
    holder = project.lock.holder()
    last = list(runs(read(project.events.path)[0]))[::-1]
    running = _running(holder, last)
    steps = running["steps"] if running else {}
    return {task for task, each in steps.items() if each["worker"]}


def _running(holder: str | None, last: list[list[Event]]) -> dict[str, Any] | None:
    """The run that holds the work directory: its start time, and the progress of its steps.

    last: the runs, the last one first.
    """
    if holder is None:
        return None
    run = next((run for run in last if is_holder(run, holder)), [])
    steps: dict[str, dict[str, Any]] = {}
    for event in run:
        if event["event"] == "start":
            worker = bool(event.get("worker"))
            steps[event["step"]] = {"since": event["time"], "worker": worker}
        elif event["event"] == "progress" and event["step"] in steps:
            steps[event["step"]] |= {"done": event["done"], "all": event["all"]}
        elif event["event"] in ("end", "failure"):
            steps.pop(event.get("step", ""), None)
    return {"by": holder, "since": run[0]["time"] if run else None, "steps": steps}


def _told_of(run: list[Event], holder: str | None) -> dict[str, Any]:
    built = [event["step"] for event in run if event["event"] == "end"]
    facts = {"command": run[0].get("command", []), "time": run[0]["time"], "built": built}
    went = outcome(run, holder)
    return facts | asdict(went) | {"words": went.words}


def _contradicted(project: Project, found: Mapping[str, StepState]) -> dict[str, list[str]]:
    records = {task: project.store.contradicting(each.id or "") for task, each in found.items()}
    return {task: [each.artifact for each in rows] for task, rows in records.items() if rows}


def _differs(project: Project, found: Mapping[str, StepState]) -> list[str]:
    return [task for task, each in found.items() if _is_refuted(project, each)]


def _is_refuted(project: Project, state: StepState) -> bool:
    """Whether `doit verify` made other bytes of the step than the current artifact."""
    if not state.id or not state.artifact:
        return False
    verified = Verified(project.workdir, state.step.file_stem)
    verdict = verified.read(state.id, state.artifact)
    return verdict is not None and verdict.verdict == DIFFERS


def _disk(project: Project) -> dict[str, int]:
    """The size in bytes of artifacts and sources in the cache, and the free space for both."""
    store = project.store.root
    return {
        "artifacts": _size(store / "artifacts"),
        "sources": _size(store / "sources"),
        "free_work": shutil.disk_usage(existing(project.workdir)).free,
        "free_cache": shutil.disk_usage(store).free if store.exists() else 0,
    }


def _size(directory: Path) -> int:
    if not directory.is_dir():
        return 0
    size = 0
    for path in directory.iterdir():
        with contextlib.suppress(FileNotFoundError):  # a build or doit gc may remove files
            size += path.stat().st_size if path.is_file() else 0
    return size


def lines(project: Project, status: Status) -> list[str]:
    """`status` for people."""
    told = [told_plan(project.plan)]
    for phase, counts in status.phases.items():
        told.append(f"  {phase:<20} {tally_in_words(counts)}")
    told += _told_run(status)
    for report in status.failed:
        told.append(f"failed: {failures.headline(report)}")
        where = (report.get("log"), typed(f"shell {report['step']}"))
        told.append(f"  {'; '.join(filter(None, where))}")
    for task, artifacts in status.contradicted.items():
        choices = " or ".join(typed(f"choose {each[:SHORT]}") for each in artifacts)
        told.append(f"CONTRADICTED: {task}: its builds gave different bytes")
        told.append(f"  {choices}; {typed(f'why {task}')}")
    for task in status.differs:
        told.append(f"DIFFERS: {task}: verify made other bytes of it")
    told.append(f"next: {told_next(status.next)}")
    disk = {name: f"{size / 1e9:.1f} GB" for name, size in status.disk.items()}
    told.append(
        f"disk: artifacts {disk['artifacts']}, sources {disk['sources']}; free {disk['free_work']}"
    )
    if status.broken_events:
        told.append(f"{status.broken_events} broken lines in {project.events.path} were ignored")
    return told


def _told_run(status: Status) -> list[str]:
    now, running, told = time.time(), status.running, []
    if running:
        since = f", for {in_words(now - running['since'])}" if running["since"] else ""
        told.append(f"running: {running['by']}{since}")
        for step, each in running["steps"].items():
            count = f" [{each['done']}/{each['all']}]" if "done" in each else ""
            where = " on a worker" if each["worker"] else ""
            told.append(f"  {step}{where}{count}, for {in_words(now - each['since'])}")
    ended = [run for run in status.runs if run["how"] != RUNNING]
    for label, run in zip(("last run:", *["before:"] * RUNS), ended, strict=False):
        ago = in_words(max(now - run["time"], 0))
        told.append(f"{label:<9} {program()} {' '.join(run['command'])}, {ago} ago, {run['words']}")
    return told if running or ended else ["no run yet"]


def told_next(next_run: Mapping[str, Any]) -> str:
    """What the next build will do at most, in one line. `next_run`: the result of survey.ahead."""
    names = [task.partition(":")[2] for task in next_run["build"]]
    shown = ", ".join(names[:6]) + (", …" if len(names) > 6 else "")
    stored = f"{len(next_run['store'])} from the store" if next_run["store"] else ""
    built = f"{len(names)} to build at most ({shown}), about {in_words(next_run['seconds'])}"
    parts = [built if names else "", stored, *_blocked(next_run)]
    return ", ".join(filter(None, parts)) or "nothing to build"


def _blocked(next_run: Mapping[str, Any]) -> Iterator[str]:
    contradicted, waiting = next_run["contradicted"], len(next_run["waiting"])
    if contradicted:
        names = ", ".join(task.partition(":")[2] for task in contradicted)
        waits = f", {waiting} waiting for it" if waiting else ""
        yield f"{len(contradicted)} contradicted ({names}){waits}: {typed('choose')}"
