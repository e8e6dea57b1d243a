"""Separates a person's edits in a build's source from what the build itself wrote there.

with overlay:     pristine source ◀── the build's writes ◀── <directory>/edits     = /source
without overlay:  a copy of the source; <directory>/entered.json has the state of each file when a
                  person first entered

Each visit to the same build sees the edits of the earlier visits.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from plan.outputs import write_file
from rootfs.archives.files import fresh_directory
from rootfs.sandbox.enter import Sandbox

SOURCE = "/source"
ENTERED = "entered.json"
# Documentation/filesystems/overlayfs.rst: marks a directory that hides the layers below it.
OPAQUE = "user.overlay.opaque"


def for_a_person(place: Sandbox) -> Sandbox:
    """`place` as a person enters it: edits below /source go to a layer of their own."""
    (place.directory / "saved").unlink(missing_ok=True)
    mount, edits = _source_mount(place.mounts), place.directory / "edits"
    if "overlay" in mount and mount["upper"] != os.fspath(edits):
        layers = {"overlay": [mount["upper"], *mount["overlay"]]}
        work = fresh_directory(place.directory / "edits-work")
        upper = {"upper": os.fspath(fresh_directory(edits)), "work": os.fspath(work)}
        edited = {"at": SOURCE, **layers, **upper}
        mounts = [edited if each is mount else each for each in place.mounts]
        return replace(place, mounts=mounts)
    noted = place.directory / ENTERED
    if "bind" in mount and not noted.exists():
        copy = Path(mount["bind"])
        state = {"source": copy.name, "files": _look(copy)}
        write_file(noted, json.dumps(state))
    return place


def saved(directory: Path) -> None:
    """Record that the edits of the build in `directory` are saved in a patch."""
    (directory / "saved").touch()


def unsaved(directory: Path) -> bool:
    """Whether the build in `directory` has edits that no patch has."""
    edits = directory / "edits"
    if (directory / "saved").exists():
        return False
    return any(edits.iterdir()) if edits.is_dir() else bool(_changed(directory))


def set_aside(directory: Path) -> Path | None:
    """Move the edits out of `directory` before the build restarts, unless a patch has them.

    Returns the directory that the edited files are in now, or None if there is nothing to keep.
    """
    if not unsaved(directory):
        return None
    kept = directory.with_name(f"{directory.name}.edits")
    numbers = count(2)
    while os.path.lexists(kept):
        kept = directory.with_name(f"{directory.name}.edits-{next(numbers)}")
    if (edits := directory / "edits").is_dir():
        return edits.rename(kept)
    for path, file in sorted(_changed(directory).items()):
        # A person may have removed it, or have made a directory in its place.
        if os.path.lexists(file) and (file.is_symlink() or not file.is_dir()):
            (kept / path).parent.mkdir(parents=True, exist_ok=True)
            file.rename(kept / path)
    return kept if kept.exists() else None


def source_layers(place: Sandbox) -> list[Path]:
    """The layers of /source in `place`, top first."""
    mount = _source_mount(place.mounts)
    if "bind" in mount:
        return [Path(mount["bind"])]
    return [Path(mount["upper"]), *map(Path, mount["overlay"])]


def find(layers: Sequence[Path], path: str) -> Path | None:
    """Find the file `path` in the `layers`, top first; None if it is not there."""
    for layer in layers:
        at, hidden = layer, False
        for part in path.split("/"):
            hidden = hidden or _opaque(at)
            at = at / part
            if not os.path.lexists(at):
                break
            if _is_whiteout(at):
                return None
        else:
            return at
        if hidden:
            return None
    return None


def touched(place: Sandbox) -> list[str]:
    """The paths below /source that a person wrote or removed in `place`, sorted."""
    layers = source_layers(place)
    if layers[0] == place.directory / "edits":
        return sorted({*_written(layers[0], "", layers[1:])})
    return sorted(_changed(place.directory))


def _changed(directory: Path) -> dict[str, Path]:
    """Without overlay: what a person wrote or removed below /source, and where it is."""
    try:
        noted = json.loads((directory / ENTERED).read_text())
        before, copy = noted["files"], directory / noted["source"]
    except (OSError, ValueError, LookupError, TypeError):
        return {}
    now = _look(copy)
    paths = (path for path in before.keys() | now if before.get(path) != now.get(path))
    return {path: copy / path for path in paths}


def _written(top: Path, inside: str, lowers: Sequence[Path]) -> Iterator[str]:
    """All paths below `inside` that the overlay's upper layer `top` changes."""
    for item in (top / inside).iterdir():
        path = item.relative_to(top).as_posix()
        is_directory = item.is_dir() and not item.is_symlink()
        if is_directory:
            yield from _written(top, path, lowers)
        else:
            yield path
        if not is_directory or _opaque(item):
            for lower in lowers:
                yield from (f"{path}/{below}" for below in _files(lower / path))


def _look(top: Path) -> dict[str, list[int]]:
    """The mtime, size and inode of each file below `top`: they show whether it was written."""
    found = {path: (top / path).lstat() for path in _files(top)}
    return {path: [each.st_mtime_ns, each.st_size, each.st_ino] for path, each in found.items()}


def _files(top: Path) -> Iterator[str]:
    if top.is_symlink():
        return
    for directory, directories, names in os.walk(top):
        links = [name for name in directories if (Path(directory) / name).is_symlink()]
        for name in (*names, *links):
            yield (Path(directory) / name).relative_to(top).as_posix()


def _is_whiteout(path: Path) -> bool:
    status = path.lstat()
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def _opaque(directory: Path) -> bool:
    try:
        return os.getxattr(directory, OPAQUE, follow_symlinks=False) == b"y"
    except OSError:
        return False


def _source_mount(mounts: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    return next(mount for mount in mounts if mount["at"] == SOURCE)
