"""Says before a build begins how long it takes, so that nobody starts hours of work by mistake."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from plan.errors import BuildError
from plan.typed import typed
from tasks.engine.project import Project
from tasks.engine.records.duration import in_words
from tasks.engine.survey import ahead, survey

LONG = 20 * 60  # seconds
SMALL = "base"


def of_set(project: Project, name: str) -> Mapping[str, Any]:
    """The forecast for the whole set `name`, with the other parameters of this run."""
    settings = project.settings
    values = {**settings.values, "set": name, "with": ""}
    other = Project(replace(settings, values=values), cache=project.cache)
    return ahead(other, survey(other).values())


def warning(project: Project, forecast: Mapping[str, Any], wanted: Collection[str]) -> str:
    """What to know before the build of `forecast`; "" if it is short. wanted: all its tasks."""
    if forecast["seconds"] < LONG:
        return ""
    told = f"this build takes about {in_words(forecast['seconds'])}; Ctrl-C keeps all that is done"
    if "image" not in wanted or project.settings.set == SMALL:
        return told
    try:
        small = in_words(of_set(project, SMALL)["seconds"])
    except BuildError:
        return told
    return f"{told}; {typed(f'image set={SMALL}')} takes about {small}"


def choices(project: Project) -> str:
    """The commands that build an image on this machine, each with its time."""
    lines = []
    for name in (SMALL, "full"):
        with contextlib.suppress(BuildError):  # not every set is for every architecture
            seconds = of_set(project, name)["seconds"]
            lines.append(f"{typed(f'image set={name}')} takes about {in_words(seconds)}")
    return "\n  ".join(lines)
