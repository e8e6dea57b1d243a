"""The views of a run's events on the console; progress= selects one.

    events ──▶ plain   a line per finished step, one per minute for a long step
           ├─▶ live    the same, above a panel of the running steps (tasks/console/panel.py)
           ├─▶ json    the events themselves
           └─▶ quiet   failures and products

No view can stop a build: output to a closed terminal is dropped, and a character that the terminal
cannot show is replaced.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tasks.console import console
from tasks.console.console import say
from tasks.engine.failures import card
from tasks.engine.records.duration import in_words
from tasks.engine.records.watch import Pace

if TYPE_CHECKING:
    from tasks.engine.project import Project
    from tasks.engine.records.events import Event

MINUTE = 60  # seconds


def attach(project: Project) -> None:
    """Attach the view that the settings select."""
    wanted = project.settings.progress
    if wanted == "auto":
        wanted = "live" if console.is_screen() else "plain"
    plain = Plain([*project.plan.phases][-1])
    if wanted == "live":
        from tasks.console.panel import Panel

        panel = Panel(plain, project)
        project.events.listeners.append(panel.show)
        project.watch.listeners.append(panel.refresh)
    elif wanted == "json":
        console.write_with(lambda text, tone: project.events.emit("note", text=text))
        project.events.listeners.append(lambda event: console.write(json.dumps(event)))
    else:
        project.events.listeners.append(Quiet().show if wanted == "quiet" else plain.show)


class Quiet:
    """Shows failures and written products."""

    def show(self, event: Event) -> None:
        """Print `event` if this view shows its kind."""
        if event["event"] in ("failure", "product"):
            say(TEXTS[event["event"]](event), TONES.get(event["event"], ""))


class Plain:
    """Shows one line for each event that matters to a person."""

    def __init__(self, last_phase: str) -> None:
        self.last_phase = last_phase
        self.paces: dict[str, tuple[Pace, float]] = {}

    def show(self, event: Event) -> None:
        """Print the text of `event`."""
        text = self.text(event)
        if text:
            say(text, TONES.get(event["event"], ""))

    def text(self, event: Event) -> str:
        """The line for `event`, or "" if it has none."""
        kind = event["event"]
        if kind == "progress":
            return self._progress(event)
        if kind not in TEXTS:
            return ""
        text = TEXTS[kind](event)
        # The card of a failure contains the step's name.
        of_step = "step" in event and kind != "failure"
        return self._of_step(event["step"], text) if of_step else text

    def _progress(self, event: Event) -> str:
        step, now = event["step"], event["time"]
        pace, told = self.paces.get(step, (Pace(), now))
        words = pace.words(event["done"], event["all"], now)
        due = now - told >= MINUTE
        self.paces[step] = (pace, now if due else told)
        return self._of_step(step, words) if due else ""

    def _of_step(self, task: str, text: str) -> str:
        # Name the phase only if it is not the last one.
        phase, _, name = task.partition(":")
        return f"pkg:{name:<15} {text}" + (f" ({phase})" if phase != self.last_phase else "")


def _start(event: Event) -> str:
    return (
        f"continues its earlier build, log: {event['log']}"
        if event["resumed"]
        else f"building {event['version']}" + (" on a worker" if event.get("worker") else "")
    )


def _end(event: Event) -> str:
    return (
        f"built in {event['seconds']:.0f} s ({event['cpu']:.0f} CPU-s, "
        f"peak {event['memory'] >> 20} MiB): {event['size'] / 1e6:.1f} MB {event['artifact'][:12]}"
        + ("" if event["changed"] else ", the same bytes as before")
    )


def _forecast(event: Event) -> str:
    if event["seconds"] < MINUTE:
        return ""
    stored = f", {len(event['store'])} from the store" if event["store"] else ""
    count = len(event["build"])
    steps = f"{count} step{'s' if count > 1 else ''}"
    return f"{steps} to build{stored}: about {in_words(event['seconds'])}"


def _product(event: Event) -> str:
    return f"{event['file']}: {event['size'] / 1e6:.1f} MB in {event['seconds']:.1f} s"


def _failure(event: Event) -> str:
    return f"\n{card(event)}\n"


TEXTS: Mapping[str, Any] = {
    "forecast": _forecast,
    "hit": lambda event: event["origin"],
    "start": _start,
    "end": _end,
    "failure": _failure,
    "note": lambda event: event["text"],
    "product": _product,
}
TONES = {"failure": "bad", "product": "good"}
