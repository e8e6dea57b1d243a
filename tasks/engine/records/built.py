"""Remembers the builds of a work directory, for the commands that look at the last one.

    image set=base ──remember──▶ work/built.json ──recall──▶ boot, status, without set=

The newest is the first. A parameter that a person gives decides: then the last build that agrees
with it is meant.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from plan.checks import AUTO, names
from plan.errors import BuildError
from plan.outputs import write_file
from plan.reading.app import is_layer
from plan.settings.parameters import PARAMETERS, parameters
from plan.settings.settings import Settings
from plan.typed import KEPT

KEPT_BUILDS = 10
# The parameters that say what was built.
NAMES = (*(name for name in KEPT if name != "workdir"), "format")
ORIGIN = "last build"
_DEFAULTS = {each.name: each.default() for each in PARAMETERS if each.name in NAMES}


def remember(settings: Settings) -> None:
    """Record that a product of `settings` is being built. If that fails, only a default is lost."""
    now = {name: settings.values[name] for name in NAMES}
    before = [*_records(settings)]
    if before[:1] != [now]:
        records = [now, *(each for each in before if each != now)][:KEPT_BUILDS]
        with contextlib.suppress(OSError):
            write_file(settings.workdir / "built.json", json.dumps(records, indent=1) + "\n")


def recall(settings: Settings) -> Settings:
    """`settings` with the parameters of the last build that agrees with those that are given."""
    given = [name for name in NAMES if settings.origin[name] != "default"]
    if settings.seed == AUTO:
        given = [name for name in given if name != "seed"]
    for record in _records(settings):
        if all(record[name] == settings.values[name] for name in given):
            origins = {name: ORIGIN for name in NAMES if name not in given}
            then = replace(
                settings,
                values={**settings.values, **record},
                origin={**settings.origin, **origins},
            )
            if _has_recipes(then):
                return then
    return settings


def _has_recipes(settings: Settings) -> bool:
    """Whether the packages of with= still have recipes. If a layer is wrong, the plan says so."""
    with contextlib.suppress(BuildError):
        return not settings.added or {*settings.added} <= {*settings.data.recipes}
    return True


def recalled(settings: Settings) -> list[str]:
    """What `recall` chose, as words of a command line; none if it chose nothing."""
    if ORIGIN not in settings.origin.values():
        return []
    always = {"set": "", "arch": ""}
    return [
        f"{name}={settings.values[name]}"
        for name, default in (_DEFAULTS | always).items()
        if settings.values[name] != default
    ]


def needed(settings: Settings, seed: str | None) -> list[str]:
    """Those of `recalled` without which the next command would mean another build.

    seed: the one that seed=auto means in this work directory.
    """
    known = {f"{name}={default}" for name, default in _DEFAULTS.items()}
    return [word for word in recalled(settings) if word not in {*known, f"seed={seed}"}]


def _records(settings: Settings) -> Iterator[Mapping[str, str]]:
    """The recorded builds that are still possible, the newest first."""
    try:
        for record in json.loads((settings.workdir / "built.json").read_text()):
            # A layer of that build may be wrong by now.
            with contextlib.suppress(ValueError, BuildError):
                if {*record} == {*NAMES}:
                    app = [Path(each) for each in (record["app"],) if each and is_layer(Path(each))]
                    known = parameters([*map(Path, names(record["layer"])), *app])
                    checks = {each.name: each.check for each in known if each.name in NAMES}
                    yield {name: check(record[name]) for name, check in checks.items()}
    except (OSError, ValueError, TypeError):
        return
