"""A root that the user gives: seed=PATH, a directory or a tarball. What it has, and what it lacks.

    PATH ──rootfs.archives.root──▶ what is there ──plan.seeding.path──▶ its tools, and what is added

Reading a tarball takes a while, so its result is kept in roots.json of the cache, for its size and
times. A wrong root is one error, before anything is built.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from plan.compiling.toolchain import Tools
from plan.errors import BuildError
from plan.outputs import write_file
from plan.seeding.alpine import AlpineSeed, load_alpine
from plan.seeding.look_at import look_at
from plan.seeding.path import (
    Found,
    Known,
    fitted,
    from_json,
    load_known,
    own_tools,
    require_fit,
    to_json,
    whole,
)
from plan.settings.settings import Settings
from plan.steps.plan import sha256_of
from plan.steps.toolbox import tools_of
from rootfs.archives.files import file_sha256

MOST = 20  # tarballs that are remembered


@dataclass(frozen=True)
class Given:
    """The root at `path`: what it has of what is `known`, and what is `added` (None: nothing)."""

    path: Path
    known: Known
    found: Found
    added: AlpineSeed | None

    @property
    def tools(self) -> Tools:
        """Its build tools, and those that it lacks."""
        if self.added is None:
            return own_tools(self.found)
        return tools_of(self.added)

    @cached_property
    def content(self) -> str:
        """The hash of its content."""
        return content_of(self.path)


def content_of(path: Path) -> str:
    """What names the content of a root: the sha256 of a file, or of the entries of a directory."""
    if path.is_dir():
        from rootfs.archives.intact import listing

        return sha256_of(listing(path))
    return file_sha256(path)


def look(path: Path, settings: Settings, cache: Path) -> Given:
    """What the root at `path` has. Nothing of it is run.

    Raises BuildError for a root that cannot be used: of another machine, without a shell, no
    tarball, or not the one of seed_sha256.
    """
    seeds, build = settings.data.seeds, settings.build
    if wanted := settings.values["seed_sha256"]:
        if path.is_dir():
            hint = "remove seed_sha256=, or give a tarball"
            raise BuildError("a directory has no sha256", where=str(path), hint=hint)
        require_sha256(path, wanted)
    known = load_known(seeds / "path.yaml", build)
    found = _found(path, known, cache)
    require_fit(found.machine, str(path), build)
    if whole(found, known):
        return Given(path, known, found, None)
    alpine = load_alpine(seeds / "alpine.yaml", build)
    return Given(path, known, found, fitted(alpine, found, known))


def require_sha256(path: Path, wanted: str) -> None:
    """Raise BuildError if the file at `path` is not the one of seed_sha256."""
    if (found := file_sha256(path)) != wanted:
        raise BuildError(
            f"its sha256 is {found}, not {wanted}",
            where=str(path),
            hint="give the file with the sha256 in seed_sha256, or change seed_sha256",
        )


def _found(path: Path, known: Known, cache: Path) -> Found:
    """What `path` has; a tarball is read only if it changed since the last time."""
    from rootfs.archives.root import Root

    if path.is_dir():
        return look_at(Root(path), known)
    status, file = path.stat(), cache / "roots.json"
    key = sha256_of([str(path), status.st_size, status.st_mtime_ns, status.st_ino, repr(known)])
    kept = _kept(file)
    with contextlib.suppress(KeyError, TypeError, ValueError):
        return from_json(kept[key])
    found = look_at(Root(path), known)
    kept = dict(list(kept.items())[1 - MOST :]) | {key: to_json(found)}
    with contextlib.suppress(OSError):  # the tarball is read again next time
        write_file(file, json.dumps(kept) + "\n")
    return found


def _kept(file: Path) -> dict[str, Any]:
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}
