"""What a person edits in the source of a build, told apart from what the build wrote there.

by overlay:   pristine source ◀── what the build wrote ◀── <folder>/edits     = /source
without it:   a copy of the source, and in <folder>/entered.json how each file of it was when a
              person first came in

Every visit to the same build finds the edits of the visit before.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rootfs.enter import Sandbox
from rootfs.files import fresh_folder, remove_tree

SOURCE = "/source"
# Documentation/filesystems/overlayfs.rst: a folder that hides what is below it.
OPAQUE = "user.overlay.opaque"


def for_a_person(place: Sandbox) -> Sandbox:
    """`place` as a person enters it: what is edited below /source from now on is kept apart."""
    (place.folder / "saved").unlink(missing_ok=True)
    mount, edits = _source_mount(place.mounts), place.folder / "edits"
    if "overlay" in mount and mount["upper"] != os.fspath(edits):
        layers = {"overlay": [mount["upper"], *mount["overlay"]]}
        work = fresh_folder(place.folder / "edits-work")
        upper = {"upper": os.fspath(fresh_folder(edits)), "work": os.fspath(work)}
        edited = {"at": SOURCE, **layers, **upper}
        mounts = [edited if each is mount else each for each in place.mounts]
        return replace(place, mounts=mounts)
    noted = place.folder / "entered.json"
    if "bind" in mount and not noted.exists():
        noted.write_text(json.dumps(_look(Path(mount["bind"]))))
    return place


def saved(folder: Path) -> None:
    """Say that the edits of the build in `folder` are in a patch."""
    (folder / "saved").touch()


def set_aside(folder: Path) -> Path | None:
    """Keep the edits of the build in `folder`, which is to begin anew, unless they are in a patch.

    Returns where the edited files are now.
    """
    edits = folder / "edits"
    if (folder / "saved").exists() or not edits.is_dir() or not any(edits.iterdir()):
        return None
    kept = folder.with_name(f"{folder.name}.edits")
    remove_tree(kept)
    return edits.rename(kept)


def source_layers(place: Sandbox) -> list[Path]:
    """The folders that /source of `place` is composed of, top first."""
    mount = _source_mount(place.mounts)
    if "bind" in mount:
        return [Path(mount["bind"])]
    return [Path(mount["upper"]), *map(Path, mount["overlay"])]


def find(layers: Sequence[Path], path: str) -> Path | None:
    """Where the file `path` of the composed `layers`, top first, lies; None if it is not there."""
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
    if layers[0] == place.folder / "edits":
        return sorted({*_written(layers[0], "", layers[1:])})
    noted = place.folder / "entered.json"
    if not noted.exists():
        return []
    before, now = json.loads(noted.read_text()), _look(layers[0])
    return sorted(path for path in before.keys() | now if before.get(path) != now.get(path))


def _written(top: Path, inside: str, lowers: Sequence[Path]) -> Iterator[str]:
    """All that the overlay's upper layer `top` changes below `inside`."""
    for item in (top / inside).iterdir():
        path = item.relative_to(top).as_posix()
        is_folder = item.is_dir() and not item.is_symlink()
        if is_folder:
            yield from _written(top, path, lowers)
        else:
            yield path
        if not is_folder or _opaque(item):
            for lower in lowers:
                yield from (f"{path}/{below}" for below in _files(lower / path))


def _look(top: Path) -> dict[str, list[int]]:
    """What shows that a file was written: of each file below `top`."""
    found = {path: (top / path).lstat() for path in _files(top)}
    return {path: [each.st_mtime_ns, each.st_size, each.st_ino] for path, each in found.items()}


def _files(top: Path) -> Iterator[str]:
    if top.is_symlink():
        return
    for folder, folders, names in os.walk(top):
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        for name in (*names, *links):
            yield (Path(folder) / name).relative_to(top).as_posix()


def _is_whiteout(path: Path) -> bool:
    status = path.lstat()
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def _opaque(folder: Path) -> bool:
    try:
        return os.getxattr(folder, OPAQUE, follow_symlinks=False) == b"y"
    except OSError:
        return False


def _source_mount(mounts: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    return next(mount for mount in mounts if mount["at"] == SOURCE)
