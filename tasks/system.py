"""The system of ours that this project runs in, if it does: what it is made of, package by package.

    /etc/bq2/image.json     its packages, each with its artifact
    /etc/bq2/files/<name>   the paths that the package brought
    /etc/bq2/replaced/…     what another package put something else in the place of
    /workspace/plan.json    the step that made it

One that lies elsewhere, as a folder or as the tarball of `doit sysroot`, can be the seed too.

A step need not be run again where it would do what was done: its literal form is the plan's, and
what it depends on is what this system holds. Then its artifact is packed anew from the files of
this system, which has to give the bytes that image.json names.
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
from plan.plan import deed
from rootfs.files import remove_tree, unfinished
from rootfs.workspace import ABOUT, FILES, NAME, REPLACED, WORKSPACE

LARGEST = 1 << 20  # bytes of what a system says of itself


def described(path: Path) -> Mapping[str, Any] | None:
    """What the root at `path`, a folder or a tarball, says of itself if it is a system of ours.

    A tarball of ours is sorted: nothing is read that lies behind.
    """
    from rootfs.decompress import Damaged

    try:
        text = (path / ABOUT).read_bytes() if path.is_dir() else _in_tarball(path)
        about = json.loads(text)
    except (OSError, ValueError, Damaged):
        return None
    ours = isinstance(about, dict) and about.get("name") == NAME and {"arch", "set"} <= about.keys()
    return about if ours else None


def _in_tarball(path: Path) -> bytes:
    from rootfs.archive import LIMIT
    from rootfs.tarstream import BLOCK, Stream, members

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
    """Raise BuildError unless the system of ours at `path` can build on machines of `build`."""
    if about["arch"] != build:
        raise BuildError(
            f"is a system for {about['arch']}, and what builds is {build}",
            where=os.fspath(path),
            hint=f"build on a machine of {about['arch']}, or with build={about['arch']}",
        )
    if "seed" in about:
        raise BuildError(
            f"the set {about['set']} was compiled by a seed, and cannot build itself",
            where=os.fspath(path),
            hint="a system that can is of set=full",
        )


class System:
    """A system of ours below `root`."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root

    @cached_property
    def artifacts(self) -> Mapping[str, str]:
        """The sha256 of each package's artifact. Raises BuildError if this is no system of ours."""
        path = self.root / ABOUT
        try:
            packages = json.loads(path.read_text())["packages"]
            return {each["name"]: each["artifact"] for each in packages}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BuildError(
                "seed=self is for a system that this project built, and this is none",
                where=os.fspath(path),
                hint="use seed=debian, or work inside the image: doit boot",
            ) from error

    @cached_property
    def steps(self) -> Mapping[str, Any]:
        """The literal form of the step that made each package."""
        return {step["name"]: deed(step) for step in self.plan["steps"]}

    @cached_property
    def plan(self) -> Mapping[str, Any]:
        """The plan that this system was made by."""
        return dict(json.loads((self.root / WORKSPACE / "plan.json").read_text()))

    def holds(self, step: Step, depends: Mapping[str, str], plan: str) -> bool:
        """Whether this system has what `step` would give, its dependencies being `depends`.

        `plan`: the digest of the product's plan, which an initramfs tells.
        """
        return (
            (step.initramfs is None or plan == self.plan["digest"])
            and self.steps.get(step.name) == deed(step)
            and all(self.artifacts.get(name) == made for name, made in depends.items())
        )

    def tree(self, packages: Iterable[str], target: Path) -> Path:
        """The files of `packages`, as links or copies, in the emptied folder `target`."""
        from rootfs.compose import link_tree
        from rootfs.tree import Entry

        found: dict[str, Path] = {}
        for package in packages:
            for name in (self.root / FILES / package).read_text().splitlines():
                # What a later package put in its place is that one's.
                kept = self.root / REPLACED / package / name
                aside = kept.is_symlink() or kept.is_file()
                found[name] = kept if aside else self.root / name
        paths = sorted(found.items())
        return link_tree([Entry(name, path, path.lstat(), 0) for name, path in paths], target)

    def adopt(self, step: Step, step_id: str, store: Store) -> Record | None:
        """Register the package's files as the result of `step`; None if they are not as built."""
        from rootfs.step import pack_tree

        wanted = self.artifacts[step.name]
        # Links to files that may be changed in place: good for packing them now, and no longer.
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
