"""What a system of ours holds besides its packages, so that it can be built again inside itself.

/etc/bq2/image.json               what it is and what it is made of
/etc/bq2/files/<name>             the paths that each package brought
/etc/bq2/replaced/<name>/…        what it brought where a later package put something else
/etc/bq2/provenance.json          what it was made from, and the hash of every file named here
/etc/bq2/sbom.cdx.json            the bill of materials
/etc/bq2/licences/<name>          the licences of a package: texts/<sha256>, and where it is from
/workspace/bootstrap-qcow2/…      this project
/workspace/plan.json              every step as it was run
/workspace/cache/sources/<sha256> the sources; BQ2_CACHE=/workspace/cache makes them a cache
"""

from __future__ import annotations

import filecmp
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from plan.provenance import resource, text_of
from rootfs.compose import bound
from rootfs.files import as_fetched, fresh_folder
from rootfs.pack import stamp_times
from rootfs.tree import Entry, merge

NAME = "bootstrap-qcow2"
WORKSPACE = "workspace"
ABOUT = "etc/bq2/image.json"
FILES = "etc/bq2/files"
REPLACED = "etc/bq2/replaced"
PROVENANCE = "etc/bq2/provenance.json"
BILL = "etc/bq2/sbom.cdx.json"
LICENCES = "etc/bq2/licences"
PROJECT = f"{WORKSPACE}/{NAME}"
CACHE = f"{WORKSPACE}/cache"
SOURCES = f"{CACHE}/sources"


@dataclass(frozen=True)
class Workspace:
    """own: path, content and executability of this project's files. plan: the text of plan.json.

    image: what image.json says. packages: the tree of each. sources: the fetched files, named by
    their hash. proof: further texts, by path. provenance: a statement of in-toto, whose subject
    becomes the packages and every file that is laid out.
    """

    own: Sequence[tuple[str, bytes, bool]]
    plan: str
    image: Mapping[str, Any]
    packages: Mapping[str, Path]
    sources: Sequence[Path]
    proof: Mapping[str, bytes] = field(default_factory=dict)
    provenance: Mapping[str, Any] | None = None

    def lay_out(self, folder: Path) -> Path:
        """Write all but the sources into the emptied `folder`: a layer for over the packages."""
        fresh_folder(folder)
        (folder / SOURCES).mkdir(parents=True)
        files = self._files()
        if self.provenance is not None:
            files.append((PROVENANCE, self._provenance(files), False))
        for name, content, executable in files:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(0o755 if executable else 0o644)
        for name, entry in self._replaced():
            path = folder / REPLACED / name / entry.path
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(entry.source, path, follow_symlinks=False)
        for path in folder.rglob("*"):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o755)
        stamp_times(folder)
        return folder

    def _files(self) -> list[tuple[str, bytes, bool]]:
        """All files but the provenance, which names them, and the sources: path, content, runs."""
        image = json.dumps(self.image, indent=1) + "\n"
        made = [(ABOUT, image), (f"{WORKSPACE}/plan.json", self.plan)]
        for name, entries in self._entries.items():
            paths = "".join(f"{entry.path}\n" for entry in entries)
            made.append((f"{FILES}/{name}", paths))
        files = [(name, os.fsencode(text), False) for name, text in made]
        files += [(name, text, False) for name, text in self.proof.items()]
        files += [(f"{PROJECT}/{name}", text, runs) for name, text, runs in self.own]
        return files

    @cached_property
    def _entries(self) -> dict[str, list[Entry]]:
        """All that each package brings."""
        return {name: merge([tree]) for name, tree in self.packages.items()}

    def _replaced(self) -> Iterator[tuple[str, Entry]]:
        """The files that a package brought and that are not what lies there in the end.

        Without them nobody could say of the package that all of it is there, bit for bit.
        """
        final = {entry.path: entry for entries in self._entries.values() for entry in entries}
        for name, entries in self._entries.items():
            for entry in entries:
                folder = stat.S_ISDIR(entry.status.st_mode)
                if not folder and not _same(entry, final[entry.path]):
                    yield name, entry

    def _provenance(self, files: Sequence[tuple[str, bytes, bool]]) -> bytes:
        assert self.provenance is not None
        told = [
            resource(f"/{name}", hashlib.sha256(content).hexdigest(), executable=runs)
            for name, content, runs in sorted(files)
        ]
        subject = [*self.provenance["subject"], *told]
        return text_of({**self.provenance, "subject": subject}).encode()

    def bind_sources(self, layer: Path, below: str) -> list[dict[str, Any]]:
        """The mounts of the sources into a tree at the path `below` that has `layer` in it.

        `layer`, what `lay_out` wrote, gets an empty file for each to be mounted on; or a copy,
        where owner, mode or time are not those that a download leaves: they would be seen.
        """
        mounts = []
        for source in self.sources:
            place = f"{SOURCES}/{source.name}"
            if as_fetched(source, layer / place) == source:
                (layer / place).touch()
                mounts.append(bound(f"{below}/{place}", source))
        return mounts


def _same(one: Entry, two: Entry) -> bool:
    if one is two:
        return True
    if one.status.st_mode != two.status.st_mode:
        return False
    if stat.S_ISLNK(one.status.st_mode):
        return one.source.readlink() == two.source.readlink()
    return filecmp.cmp(one.source, two.source, shallow=False)
