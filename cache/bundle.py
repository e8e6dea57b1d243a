"""Reads a bundle: one tar file with everything that a build needs, for use without a network.

    README.txt, plan.json               how to use it; the plan that it was made for
    bootstrap-qcow2/…                   this project, and the wheels that ./bq2 installs
    sources/<sha256>                    the sources, and the packages of the seed

    sources/<sha256> in it ──copied, hashed──▶ partial file ──right?──▶ the user's cache

Each file is checked by its hash. If a bundle is truncated or damaged, the error names the affected
files; the others can still be used.
"""

from __future__ import annotations

import json
import os
import tarfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

from cache import paths
from cache.partial import Partial, locked
from cache.progress import Progress, Silent
from cache.sources import cached, title
from plan.errors import BuildError
from plan.model import Source
from plan.typed import typed

README = "README.txt"
PLAN = "plan.json"
PROJECT = "bootstrap-qcow2"
WHEELS = f"{PROJECT}/wheels"
SOURCES = "sources"

_CHUNK = 1 << 20
_TICK = 0.1  # seconds between two checks whether another run has finished with a file


class Bundle:
    """The bundle in the file `path`, whose files go into `cache`.

    The file is opened only when it is needed.
    """

    def __init__(self, path: Path, cache: Path | None = None) -> None:
        self.path, self.cache = path, cache
        self._end = 0
        """The offset at which the last member ends according to its header, in bytes."""

    def take(self, sources: Sequence[Source], progress: Progress | None = None) -> None:
        """Copy the `sources` that the cache lacks into it, and verify each.

        Raises BuildError if the file is no bundle. Raises BuildError with all sources that are
        missing or damaged in the bundle, after copying the others.
        """
        missing = list({s.sha256: s for s in sources if cached(s, self.cache) is None}.values())
        if not missing:
            return
        wrong = self._take(missing, progress or Silent())
        if wrong:
            lines = [f"  {title(source)}: {why}" for source, why in wrong]
            raise BuildError(
                "\n".join([f"{len(wrong)} files of the bundle are missing or damaged", *lines]),
                where=os.fspath(self.path),
                hint=self._remedy(),
            )

    def has(self, source: Source) -> bool:
        """Whether `source` is in it. Raises BuildError if the file is no bundle."""
        return source.sha256 in self._files

    def _take(self, missing: Sequence[Source], progress: Progress) -> list[tuple[Source, str]]:
        wrong = []
        progress.begin(len(missing), sum(source.size for source in missing))
        try:
            with self._open() as file:
                for source in missing:
                    if source.sha256 not in self._files:
                        wrong.append((source, "missing"))
                    elif self._take_one(file, source, progress.add):
                        progress.done(source.file, source.size, "the bundle")
                    else:
                        wrong.append((source, "damaged"))
        finally:
            progress.end()
        return wrong

    def _take_one(self, file: BinaryIO, source: Source, count: Callable[[int], None]) -> bool:
        """Copy one file into the cache; False if its bytes are not those of `source`."""
        partial_file = paths.directory("sources/partial", self.cache) / source.sha256
        offset, size = self._files[source.sha256]
        with locked(
            partial_file, source.sha256, size, count=count, wait=lambda: time.sleep(_TICK)
        ) as partial:
            partial.empty()
            if cached(source, self.cache):  # another run was faster
                return True
            file.seek(offset)
            _copy(file, partial)
            if not partial.complete():
                partial.empty()
                return False
            partial.keep(paths.source(source.sha256, self.cache))
        return True

    def _open(self) -> BinaryIO:
        try:
            return self.path.open("rb")
        except OSError as error:
            where, hint = os.fspath(self.path), f"bundle= names a file that {typed('bundle')} wrote"
            raise BuildError(f"cannot be read: {error.strerror}", where=where, hint=hint) from error

    @cached_property
    def _contents(self) -> Mapping[str, tuple[int, int]]:
        """The offset and size in bytes of each complete member."""
        found = {}
        with self._open() as file:
            length = os.fstat(file.fileno()).st_size
            try:
                with tarfile.open(fileobj=file, mode="r:") as tar:
                    for member in tar:
                        self._end = member.offset_data + member.size
                        if self._end <= length:
                            found[member.name] = (member.offset_data, member.size)
            except (tarfile.TarError, OverflowError, ValueError):
                pass  # truncated or damaged: `take` names the missing files
        return found

    @cached_property
    def _files(self) -> Mapping[str, tuple[int, int]]:
        """The sources in it, by sha256."""
        self._about  # noqa: B018  raises if the file is no bundle
        prefix = f"{SOURCES}/"
        return {
            name.removeprefix(prefix): place
            for name, place in self._contents.items()
            if name.startswith(prefix)
        }

    @cached_property
    def _about(self) -> Mapping[str, Any]:
        """The set and arch of its plan. Raises BuildError if the file is no bundle."""
        try:
            offset, size = self._contents[PLAN]
            with self._open() as file:
                file.seek(offset)
                plan = dict(json.loads(file.read(size)))
            return {key: plan[key] for key in ("set", "arch")}
        except (KeyError, ValueError, TypeError, RecursionError) as error:
            raise BuildError(
                "is not a bundle of this project, or its beginning is damaged",
                where=os.fspath(self.path),
                hint=f"on a machine with a network, {typed('bundle')} makes one",
            ) from error

    def _remedy(self) -> str:
        end_mark = -self._end % tarfile.BLOCKSIZE + 2 * tarfile.BLOCKSIZE
        if self.path.stat().st_size < self._end + end_mark:
            return "the bundle is cut off: copy it again"
        about = self._about
        return (
            f"it was made with set={about['set']} arch={about['arch']}: if this is what you want, "
            f"copy it again; if not, {typed('bundle')} makes another"
        )


def _copy(file: BinaryIO, partial: Partial) -> None:
    while left := partial.size - partial.length:
        chunk = file.read(min(left, _CHUNK))
        if not chunk:
            return
        partial.append(chunk)
