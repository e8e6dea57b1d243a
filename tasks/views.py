"""What the console shows of a run: views of its events, chosen by progress=.

    events ──▶ plain   a line for what is done, one a minute for what takes long
           ├─▶ live    the same, above a panel of what is running (tasks/panel.py)
           ├─▶ json    the events themselves
           └─▶ quiet   failures and products

Nothing that is shown can stop a build: a terminal that was closed, or cannot show a character, is
written to no more, or gets another character.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tasks import console
from tasks.console import in_words, say
from tasks.failures import card
from tasks.watch import Pace

if TYPE_CHECKING:
    from tasks.events import Event
    from tasks.project import Project

MINUTE = 60  # seconds


def attach(project: Project) -> None:
    """Make the console show this run as the settings say."""
    wanted = project.settings.progress
    if wanted == "auto":
        wanted = "live" if console.is_screen() else "plain"
    plain = Plain([*project.plan.phases][-1])
    if wanted == "live":
        from tasks.panel import Panel

        panel = Panel(plain, project)
        project.events.listeners.append(panel.show)
        project.watch.listeners.append(panel.refresh)
    elif wanted == "json":
        console.write_with(lambda text: project.events.emit("note", text=text))
        project.events.listeners.append(lambda event: console.write(json.dumps(event)))
    else:
        project.events.listeners.append(Quiet().show if wanted == "quiet" else plain.show)


class Quiet:
    """Failures, and the files that were made."""

    def show(self, event: Event) -> None:
        """Print what `event` says, if it is for this view."""
        if event["event"] in ("failure", "product"):
            say(TEXTS[event["event"]](event))


class Plain:
    """A line for each event that a person wants to know of; "" for one that is none."""

    def __init__(self, last_phase: str) -> None:
        self.last_phase = last_phase
        self.paces: dict[str, tuple[Pace, float]] = {}

    def show(self, event: Event) -> None:
        """Print what `event` says."""
        text = self.text(event)
        if text:
            say(text)

    def text(self, event: Event) -> str:
        """What there is to print of `event`."""
        kind = event["event"]
        if kind == "progress":
            return self._progress(event)
        if kind not in TEXTS:
            return ""
        text = TEXTS[kind](event)
        # A failure's card names its step itself.
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
        # Where there are two phases, the first is the less expected one.
        phase, _, name = task.partition(":")
        return f"pkg:{name:<15} {text}" + (f" ({phase})" if phase != self.last_phase else "")


def _start(event: Event) -> str:
    return (
        f"goes on with its build of before, log: {event['log']}"
        if event["resumed"]
        else f"building {event['version']}"
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
    return f"{len(event['build'])} steps to build{stored}: about {in_words(event['seconds'])}"


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
