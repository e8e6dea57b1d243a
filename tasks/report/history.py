"""The runs, step by step: turns events into the bars and hits of a timeline.

    events.jsonl ──by run──▶ start … end, failure, or nothing more ──▶ a bar for each step

Events of another format version are skipped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tasks.engine.records import outcome
from tasks.engine.records.events import Event, runs
from tasks.report.facts import BUILT, CUT, FAILED, RUNNING, Bar, Run

ENDS = {"end": BUILT, "failure": FAILED}


def history(
    events: Iterable[Event], set_name: str, arch: str, holder: str | None = None
) -> list[Run]:
    """The runs of the set for the architecture, the newest first. `holder`: of the lock."""
    sound = [event for event in events if isinstance(event["time"], int | float)]
    own = [run for run in runs(sound) if _is_of(run[0], set_name, arch)]
    return [_run(run, holder) for run in reversed(own)]


def built_something(run: Run) -> bool:
    """Whether the run had something to build, or to take from the store."""
    return bool(run.bars or run.hits)


def _is_of(first: Event, set_name: str, arch: str) -> bool:
    return first["event"] == "run" and (first.get("set"), first.get("arch")) == (set_name, arch)


def _run(events: list[Event], holder: str | None) -> Run:
    first, went = events[0], outcome.outcome(events, holder)
    begin = float(first["time"])
    length = max(went.seconds, *(float(event["time"]) - begin for event in events))
    unfinished = RUNNING if went.how == outcome.RUNNING else CUT
    return Run(
        time=begin,
        command=" ".join(str(word) for word in first.get("command", [])),
        seconds=length,
        outcome=went,
        bars=tuple(_bars(events, begin, length, unfinished)),
        hits=tuple(
            (str(event["step"]), event["time"] - begin)
            for event in events
            if event["event"] == "hit" and "step" in event
        ),
    )


def _bars(events: Iterable[Event], begin: float, length: float, unfinished: str) -> Iterator[Bar]:
    started: dict[str, float] = {}
    for event in events:
        step: Any = event.get("step")
        if event["event"] == "start" and isinstance(step, str):
            started[step] = event["time"] - begin
        elif event["event"] in ENDS and step in started:
            start = started.pop(step)
            yield Bar(step, start, event["time"] - begin, ENDS[event["event"]])
    for step, start in started.items():
        yield Bar(step, start, length, unfinished)
