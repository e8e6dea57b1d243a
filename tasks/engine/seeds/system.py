"""A system that this project built and now runs in: its packages and their files.

    /etc/bq2/image.json     its packages, each with its artifact
    /etc/bq2/files/<name>   the paths of the package's files
    /etc/bq2/replaced/…     files that another package replaced
    /workspace/plan.json    the steps that built it

    Such a system can also be the seed, as a directory or as the tarball of `doit sysroot`.

A step need not run again if its literal form is the same as in that plan, and this system has its
dependencies. Then its artifact is packed again from the files of this system. The result must have
the hash in image.json.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from cache.store import Record, Store
from plan.errors import BuildError
from plan.model import Step
from plan.outputs import unfinished
from plan.steps.plan import deed
from plan.typed import typed
from rootfs.archives.files import remove_tree
from rootfs.image.names import ABOUT, FILES, NAME, REPLACED, WORKSPACE

LARGEST = 1 << 20  # bytes of a description


def described(path: Path) -> Mapping[str, Any] | None:
    """The description in the root at `path`, a directory or tarball, if this project built it.

    Members are sorted, so reading stops after ABOUT.
    """
    from rootfs.archives.decompress import Damaged

    try:
        text = (path / ABOUT).read_bytes() if path.is_dir() else _in_tarball(path)
        about = json.loads(text)
    except (OSError, ValueError, Damaged):
        return None
    ours = isinstance(about, dict) and about.get("name") == NAME and {"arch", "set"} <= about.keys()
    return about if ours else None


def _in_tarball(path: Path) -> bytes:
    from rootfs.archives.tar_stream import BLOCK, Stream, members
    from rootfs.archives.unpack import LIMIT

    wanted = ABOUT.encode()
    with path.open("rb") as raw, Stream(raw, LIMIT) as stream:
        for member in members(stream):
            name = member.name.removeprefix(b"./")
            if name == wanted and member.size < LARGEST:
                return stream.take(member.size)
            if name >= wanted:
                break
            stream.skip(member.size + -member.size % BLOCK)
    return b""


def require_builder(about: Mapping[str, Any], path: Path, build: str) -> None:
    """Raise BuildError unless the system at `path` can build on machines of `build`."""
    if about["arch"] != build:
        raise BuildError(
            f"is a system for {about['arch']}, but the build architecture is {build}",
            where=os.fspath(path),
            hint=f"build on a machine of {about['arch']}, or with build={about['arch']}",
        )
    if "seed" in about:
        raise BuildError(
            f"the set {about['set']} was compiled by a seed and cannot build itself",
            where=os.fspath(path),
            hint="use a system of set=full",
        )


class System:
    """A system of this project below `root`."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root

    @cached_property
    def artifacts(self) -> Mapping[str, str]:
        """The sha256 of each package's artifact. Raises BuildError if it is not such a system."""
        path = self.root / ABOUT
        try:
            packages = json.loads(path.read_text())["packages"]
            return {each["name"]: each["artifact"] for each in packages}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BuildError(
                "seed=self needs a system that this project built, and this is not one",
                where=os.fspath(path),
                hint=f"use seed=debian, or work inside the image: {typed('boot')}",
            ) from error

    @cached_property
    def steps(self) -> Mapping[str, Any]:
        """The literal form of the step that built each package."""
        return {step["name"]: deed(step) for step in self.plan["steps"]}

    @cached_property
    def plan(self) -> Mapping[str, Any]:
        """The plan that built this system."""
        return dict(json.loads((self.root / WORKSPACE / "plan.json").read_text()))

    def holds(self, step: Step, depends: Mapping[str, str], plan: str) -> bool:
        """Whether this system has the result of `step`, with the dependencies `depends`.

        `plan`: the digest of the product's plan, which an initramfs contains.
        """
        return (
            (step.initramfs is None or plan == self.plan["digest"])
            and self.steps.get(step.name) == deed(step)
            and all(self.artifacts.get(name) == made for name, made in depends.items())
        )

    def tree(self, packages: Iterable[str], target: Path) -> Path:
        """The files of `packages`, as links or copies, in the emptied directory `target`."""
        from rootfs.archives.tree import Entry
        from rootfs.sandbox.compose import link_tree

        found: dict[str, Path] = {}
        for package in packages:
            # One path a line, byte for byte.
            listing = (self.root / FILES / package).read_bytes()
            for name in os.fsdecode(listing).split("\n")[:-1]:
                # If a later package replaced the file, it belongs to that package.
                kept = self.root / REPLACED / package / name
                aside = kept.is_symlink() or kept.is_file()
                found[name] = kept if aside else self.root / name
        paths = sorted(found.items())
        return link_tree([Entry(name, path, path.lstat(), 0) for name, path in paths], target)

    def adopt(self, step: Step, step_id: str, store: Store) -> Record | None:
        """Register the package's files as the result of `step`; None if they were changed."""
        from rootfs.sandbox.step import pack_tree

        wanted = self.artifacts[step.name]
        # These are links to files that may change later: only pack them now.
        links = unfinished(store.tree(wanted))
        try:
            packed = pack_tree(self.tree([step.name], links), step.name, store.scratch())
        finally:
            remove_tree(links)
        if packed.sha256 != wanted:
            packed.file.unlink()
            return None
        record = Record(
            step=step_id,
            name=step.name,
            version=step.version,
            phase=step.phase,
            artifact=packed.sha256,
            size=packed.size,
            seconds=0,
            cpu=0,
            memory=0,
        )
        store.register(packed.file, record)
        return record
