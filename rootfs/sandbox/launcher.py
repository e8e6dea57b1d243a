"""A compiler's launcher in the sandbox of a step: beside the root, in no step id.

root ◀── a layer with two mount points ◀── the launcher's programs, read-only
                                       ◀── a directory with the socket that it asks

Only packages of objects= have it (tasks/engine/objects.py). It changes where a compiler runs.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rootfs.archives.files import fresh_directory
from rootfs.sandbox.compose import Composer, bound, layers
from rootfs.sandbox.enter import Sandbox

PROGRAMS, DOOR = "/recc", "/casd"
"""Where a build sees the programs, and the directory with the socket."""
_LAYER = "launcher"


def with_launcher(place: Sandbox, programs: Path, door: Path, *, overlay: bool) -> Sandbox:
    """`place` with the directories `programs` and `door` in it, if it has none from before."""
    if _has_launcher(place):
        return place
    directory = fresh_directory(place.directory / _LAYER)
    layer = directory / _LAYER
    for point in (PROGRAMS, DOOR):
        (layer / point.lstrip("/")).mkdir(parents=True)
    root = Composer(directory, overlay).readonly("/", [*layers(place.root), layer])
    mounts = [bound(PROGRAMS, programs), bound(DOOR, door, writable=True)]
    return replace(place, root=root, mounts=[*place.mounts, *mounts])


def alone(place: Sandbox) -> Sandbox:
    """`place`, in which a launcher of before runs each compiler here, and as many as usual."""
    if not _has_launcher(place):
        return place
    own = {"RECC_PASSTHROUGH": "1", "CMAKE_BUILD_PARALLEL_LEVEL": place.environment["JOBS"]}
    return replace(place, environment={**place.environment, **own})


def root_layers(place: Sandbox) -> list[Path]:
    """The trees of the root, bottom first, without the layer of a launcher."""
    return [each for each in layers(place.root) if each.name != _LAYER]


def _has_launcher(place: Sandbox) -> bool:
    return any(each["at"] == PROGRAMS for each in place.mounts)
