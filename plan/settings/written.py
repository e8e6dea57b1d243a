"""What a run writes to is no source of a build: each run would change what the next one builds."""

from __future__ import annotations

from pathlib import Path

from plan.errors import BuildError
from plan.own_files import below
from plan.reading.data import Data
from plan.reading.folder import would_hold
from plan.reading.layer import PARTS

WRITTEN = ("output", "workdir")
"""The parameters that name what a run writes to."""


def require_unread(name: str, value: str, where: str, data: Data) -> None:
    """Raise BuildError, with `where`, if the path `value` is among the files of a layer or an app.

    name: the parameter, one of WRITTEN. What git ignores in an app is not among its files.
    """
    if not value:
        return
    # Git may ignore a directory by a pattern that no file matches.
    path = Path(value, "plan.json") if name == "workdir" else Path(value)
    for layer in data.layers:
        inside = below(layer.path, path)
        if inside and {*inside.parts[:1]} & {*PARTS}:
            raise _read(name, value, where, layer.path)
    app = data.app.path if data.app else None
    if app and (inside := below(app, path)) is not None and would_hold(app, inside):
        raise _read(name, value, where, app)


def _read(name: str, value: str, where: str, directory: Path) -> BuildError:
    return BuildError(
        f"{name}={value} is among the files of {directory}, which are read",
        where=where,
        hint="name a path outside of that directory, or let git ignore it there",
    )
