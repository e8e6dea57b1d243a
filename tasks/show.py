"""settings, plan: what a run would use, for people and for other programs."""

from __future__ import annotations

from typing import Any

from plan.settings import PARAMETERS
from rootfs.files import replacing
from tasks.console import say, speaking
from tasks.project import project


def task_settings() -> dict[str, Any]:
    """each parameter, its value, and where that came from"""
    return {"actions": [(speaking(_settings),)]}


def task_plan() -> dict[str, Any]:
    """write plan.json: every step with its literal commands, environment and inputs"""
    return {"actions": [(speaking(_plan),)]}


def _settings() -> None:
    settings = project.settings
    for parameter in PARAMETERS:
        value, origin = settings.values[parameter.name], settings.origin[parameter.name]
        say(f"{parameter.name:<9} {value or '-':<12} {origin:<13} {parameter.help}")


def _plan() -> None:
    path = project.workdir / "plan.json"
    with replacing(path) as file:
        file.write(project.plan.as_json(project.seed.describe()).encode())
    say(f"{path}: {len(project.plan.steps)} steps, digest {project.plan.digest}")
