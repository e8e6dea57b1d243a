"""What a system of ours holds besides its packages, so that it can be built again inside itself.

/etc/bq2/image.json               what it is and what it is made of
/etc/bq2/files/<name>             the paths that each package brought
/workspace/bootstrap-qcow2/…      this project
/workspace/plan.json              every step as it was run
/workspace/cache/sources/<sha256> the sources; BQ2_CACHE=/workspace/cache makes them a cache
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rootfs.compose import bound
from rootfs.files import fresh_folder
from rootfs.pack import stamp_times
from rootfs.tree import merge

WORKSPACE = "workspace"
ABOUT = "etc/bq2/image.json"
FILES = "etc/bq2/files"
PROJECT = f"{WORKSPACE}/bootstrap-qcow2"
CACHE = f"{WORKSPACE}/cache"
SOURCES = f"{CACHE}/sources"


@dataclass(frozen=True)
class Workspace:
    """own: path, content and executability of this project's files. plan: the text of plan.json.

    image: what image.json says. packages: the tree of each. sources: the fetched files, named by
    their hash.
    """

    own: Sequence[tuple[str, bytes, bool]]
    plan: str
    image: Mapping[str, Any]
    packages: Mapping[str, Path]
    sources: Sequence[Path]

    def lay_out(self, folder: Path) -> Path:
        """Write all but the sources into the emptied `folder`: a layer for over the packages."""
        fresh_folder(folder)
        (folder / SOURCES).mkdir(parents=True)
        image = json.dumps(self.image, indent=1) + "\n"
        made = [(ABOUT, image), (f"{WORKSPACE}/plan.json", self.plan)]
        for name, tree in self.packages.items():
            paths = "".join(f"{entry.path}\n" for entry in merge([tree]))
            made.append((f"{FILES}/{name}", paths))
        files = [(name, os.fsencode(text), False) for name, text in made]
        files += [(f"{PROJECT}/{name}", text, runs) for name, text, runs in self.own]
        for name, content, executable in files:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(0o755 if executable else 0o644)
        for path in folder.rglob("*"):
            if path.is_dir():
                path.chmod(0o755)
        stamp_times(folder)
        return folder

    def bind_sources(self, layer: Path, below: str) -> list[dict[str, Any]]:
        """The mounts of the sources into a tree at the path `below` that has `layer` in it.

        `layer`, what `lay_out` wrote, gets an empty file for each to be mounted on.
        """
        for source in self.sources:
            (layer / SOURCES / source.name).touch()
        return [bound(f"{below}/{SOURCES}/{source.name}", source) for source in self.sources]
