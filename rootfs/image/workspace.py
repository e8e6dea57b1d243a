"""The files of an image besides its packages, so that it can build itself again.

/etc/bq2/image.json               the description of the image and its packages
/etc/bq2/files/<name>             the paths of each package
/etc/bq2/replaced/<name>/…        the package's files that a later package replaced
/etc/bq2/provenance.json          the inputs of the image, and the hash of every file listed here
/etc/bq2/sbom.cdx.json            the software bill of materials
/etc/bq2/licenses/<name>          the licenses of a package: texts/<sha256>, and their source
/workspace/bootstrap-qcow2/…      this project
/workspace/plan.json              every step
/workspace/cache/sources/<sha256> the sources; BQ2_CACHE=/workspace/cache uses them as a cache
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

from plan.documents.provenance import resource, text_of
from rootfs.archives.files import as_fetched, fresh_directory
from rootfs.archives.pack import stamp_times
from rootfs.archives.tree import Entry, merge
from rootfs.image.names import (
    ABOUT,
    FILES,
    PROJECT,
    PROVENANCE,
    REPLACED,
    SOURCES,
    WORKSPACE,
)
from rootfs.sandbox.compose import bound


@dataclass(frozen=True)
class Workspace:
    """own: (path, content, executable) of this project's files. plan: the text of plan.json.

    image: the content of image.json. packages: the tree of each package. sources: the fetched
    files, named by their hash. proof: more files, path → content. provenance: an in-toto statement;
    `lay_out` adds the hash of every file that it writes to the subject.
    """

    own: Sequence[tuple[str, bytes, bool]]
    plan: str
    image: Mapping[str, Any]
    packages: Mapping[str, Path]
    sources: Sequence[Path]
    proof: Mapping[str, bytes] = field(default_factory=dict)
    provenance: Mapping[str, Any] | None = None

    def lay_out(self, directory: Path) -> Path:
        """Replace `directory` with a layer to put over the packages: all files but the sources."""
        fresh_directory(directory)
        (directory / SOURCES).mkdir(parents=True)
        files = self._files()
        if self.provenance is not None:
            files.append((PROVENANCE, self._provenance(files), False))
        for name, content, executable in files:
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(0o755 if executable else 0o644)
        for name, entry in self._replaced():
            path = directory / REPLACED / name / entry.path
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(entry.source, path, follow_symlinks=False)
        for path in directory.rglob("*"):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o755)
        stamp_times(directory)
        return directory

    def _files(self) -> list[tuple[str, bytes, bool]]:
        """(path, content, executable) of all files, without the provenance and the sources."""
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
        """The entries of each package."""
        return {name: merge([tree]) for name, tree in self.packages.items()}

    def _replaced(self) -> Iterator[tuple[str, Entry]]:
        """The files of packages that a later package replaces.

        They are kept, so that each package can be compared with its artifact bit for bit.
        """
        final = {entry.path: entry for entries in self._entries.values() for entry in entries}
        for name, entries in self._entries.items():
            for entry in entries:
                directory = stat.S_ISDIR(entry.status.st_mode)
                if not directory and not _same(entry, final[entry.path]):
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
        """The mounts of the sources into the tree at the path `below`, which contains `layer`.

        `layer`, written by `lay_out`, gets an empty file for each source to mount on. A source
        whose owner, mode or time differs from a download's is copied: the image would show them.
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
