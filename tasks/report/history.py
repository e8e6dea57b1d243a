"""The runs, step by step: turns events into the bars and hits of a timeline.

    events.jsonl ──by run──▶ start … end, failure, or nothing more ──▶ a bar for each step

Events of another format version are skipped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tasks.engine.events import Event, runs
from tasks.report.facts import BUILT, FAILED, INTERRUPTED, Bar, Run

ENDS = {"end": BUILT, "failure": FAILED}


def history(events: Iterable[Event], set_name: str, arch: str) -> list[Run]:
    """The runs of the set for the architecture, the newest first."""
    sound = [event for event in events if isinstance(event["time"], int | float)]
    own = [run for run in runs(sound) if _is_of(run[0], set_name, arch)]
    return [_run(run) for run in reversed(own)]


def built_something(run: Run) -> bool:
    """Whether the run had something to build, or to take from the store."""
    return bool(run.bars or run.hits)


def _is_of(first: Event, set_name: str, arch: str) -> bool:
    return first["event"] == "run" and (first.get("set"), first.get("arch")) == (set_name, arch)


def _run(events: list[Event]) -> Run:
    first, last = events[0], events[-1]
    begin = float(first["time"])
    over = last if last["event"] == "over" else None
    length = max(float(event["time"]) - begin for event in events)
    return Run(
        time=begin,
        command=" ".join(str(word) for word in first.get("command", [])),
        seconds=length,
        status=over.get("status") if over else None,
        bars=tuple(_bars(events, begin, length)),
        hits=tuple(
            (str(event["step"]), event["time"] - begin)
            for event in events
            if event["event"] == "hit" and "step" in event
        ),
    )


def _bars(events: Iterable[Event], begin: float, length: float) -> Iterator[Bar]:
    started: dict[str, float] = {}
    for event in events:
        step: Any = event.get("step")
        if event["event"] == "start" and isinstance(step, str):
            started[step] = event["time"] - begin
        elif event["event"] in ENDS and step in started:
            start = started.pop(step)
            yield Bar(step, start, event["time"] - begin, ENDS[event["event"]])
    for step, start in started.items():
        yield Bar(step, start, length, INTERRUPTED)
