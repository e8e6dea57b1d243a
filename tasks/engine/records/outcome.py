"""How a run went: it succeeded, failed, was interrupted or killed, or it is still running.

A run that released the work directory holds no lock: whether it goes on, nothing says.

events of the run ─┬─ "over" ──signal?──▶ interrupted
                   │         ──status───▶ succeeded | failed
holder of the lock ┴─ no "over" ────────▶ running (the holder is its process) | released | killed
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.engine.records.duration import in_words
from tasks.engine.records.events import Event

SUCCEEDED, FAILED, INTERRUPTED = "succeeded", "failed", "interrupted"
KILLED, RUNNING, RELEASED = "killed", "running", "released"
SIGNALS = {
    "SIGINT": "Ctrl-C",
    "SIGHUP": "a hang-up of its terminal",
    "SIGTERM": "a termination signal",
}


@dataclass(frozen=True)
class Outcome:
    """How a run went. `seconds`: its duration until its end, its last event or now."""

    how: str
    seconds: float
    status: int | None = None
    """The exit status; None if the run has recorded no end."""
    signal: str | None = None
    """The name of the signal that interrupted it."""

    @property
    def words(self) -> str:
        """For people, after the name of the run: "failed with status 1 after 12 s"."""
        lasted = in_words(self.seconds)
        if self.how == RUNNING:
            return f"is running, for {lasted} so far"
        if self.how == KILLED:
            return f"was killed {lasted} or later after its start"
        if self.how == RELEASED:
            return f"built what it needs in {lasted}; it goes on since then, or was killed"
        told = "succeeded" if self.how == SUCCEEDED else f"failed with status {self.status}"
        if self.how == INTERRUPTED:
            told = f"was interrupted by {SIGNALS.get(self.signal or '', self.signal)}"
        return f"{told} after {lasted}"


def outcome(run: Sequence[Event], holder: str | None) -> Outcome:
    """The outcome of the run with these events. `holder`: of the lock (cache/lock.py)."""
    begin = run[0]["time"]
    over = next((event for event in run if event["event"] == "over"), None)
    if over is None:
        if is_holder(run, holder):
            return Outcome(RUNNING, max(time.time() - begin, 0))
        how = RELEASED if any(event["event"] == "released" for event in run) else KILLED
        return Outcome(how, max(event["time"] for event in run) - begin)
    status, name = over.get("status"), over.get("signal")
    seconds = over.get("seconds", over["time"] - begin)
    how = INTERRUPTED if name else FAILED if status else SUCCEEDED
    return Outcome(how, seconds, status, name)


def is_holder(run: Sequence[Event], holder: str | None) -> bool:
    """Whether the process of `run` holds the lock of the work directory."""
    return holder is not None and holder.startswith(f"process {run[0].get('process')} ")
