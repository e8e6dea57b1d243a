"""Stacks trees for a sandbox: with an overlay or, where the kernel has none, with hard links.

layers (bottom first) ──overlay──▶ a mount at a fixed path; nothing is copied
                      ──links────▶ a read-only bind of hard links, or a writable copy
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rootfs.archives.files import fresh_directory
from rootfs.archives.tree import Entry, merge


@dataclass(frozen=True)
class Composer:
    """Makes the mounts of one sandbox in its `directory`; `overlay`: whether to use an overlay."""

    directory: Path
    overlay: bool

    def readonly(self, at: str, layers: Sequence[Path]) -> dict[str, Any]:
        """Mount `layers`, bottom first, read-only at the path `at`."""
        if len(layers) == 1:
            return bound(at, layers[0])
        if self.overlay and layers:
            return {"at": at, "overlay": [os.fspath(layer) for layer in reversed(layers)]}
        return bound(at, self._linked(at, layers, copy=False))

    def writable(self, at: str, lower: Path | None) -> dict[str, Any]:
        """Mount the tree `lower` (or an empty one) writable at `at`; `lower` never changes."""
        if lower is None:
            return bound(at, fresh_directory(self._named("new", at)), writable=True)
        if not self.overlay:
            return bound(at, self._linked(at, [lower], copy=True), writable=True)
        upper, work = (
            fresh_directory(self._named("upper", at)),
            fresh_directory(self._named("work", at)),
        )
        layers = {"overlay": [os.fspath(lower)], "upper": os.fspath(upper), "work": os.fspath(work)}
        return {"at": at, **layers}

    def _named(self, kind: str, at: str) -> Path:
        return self.directory / f"{kind}{at.replace('/', '-')}"

    def _linked(self, at: str, layers: Sequence[Path], *, copy: bool) -> Path:
        return link_tree(merge(layers), self._named("linked", at), copy=copy)


def link_tree(entries: Sequence[Entry], target: Path, *, copy: bool = False) -> Path:
    """Make `target` the tree of `entries`: hard links where possible, else copies.

    copy: always copy, so that a write to `target` changes no other file.
    """
    fresh_directory(target)
    for entry in entries:
        path = target / entry.path
        if stat.S_ISDIR(entry.status.st_mode):
            path.mkdir()
            path.chmod(stat.S_IMODE(entry.status.st_mode) | stat.S_IRWXU)
        elif copy or not _link(entry.source, path):
            shutil.copy2(entry.source, path, follow_symlinks=False)
    return target


def bound(at: str, directory: Path, *, writable: bool = False) -> dict[str, Any]:
    """Bind the host's `directory` (or file) at the path `at`."""
    return {"at": at, "bind": os.fspath(directory), "writable": writable}


def scratch(at: str) -> dict[str, Any]:
    """An empty tmpfs at the path `at`: at most a quarter of the memory."""
    return {"at": at, "tmpfs": "mode=1777,size=25%"}


def layers(mount: Mapping[str, Any]) -> list[Path]:
    """The trees of a mount that `Composer.readonly` made, bottom first."""
    return [Path(each) for each in reversed(mount.get("overlay") or [mount["bind"]])]


def _link(source: Path, target: Path) -> bool:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        return False  # another file system, or a protected hard link: the caller copies
    return True
