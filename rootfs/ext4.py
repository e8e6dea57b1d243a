"""The root file system of an image: ext4, made by our own e2fsprogs in the sandbox.

    trees of the packages ─┐
    workspace ─────────────┼─overlay─▶ /tree ──mke2fs -d──▶ raw, sparse file
    sources ───────bound───┘                      ▲
    trees of the tools, mostly those packages ────┘

Its bytes follow from the contents and the UUID: mke2fs sorts what it reads, and every time that is
later than SOURCE_DATE_EPOCH becomes that.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from plan.errors import BuildError
from plan.model import Command
from plan.toolchain import SOURCE_DATE_EPOCH
from rootfs.compose import Composer, bound, link_tree, scratch
from rootfs.disk import round_up
from rootfs.enter import Sandbox, enter
from rootfs.files import fresh_folder, is_own
from rootfs.tree import merge
from rootfs.workspace import Workspace

GIB = 1 << 30
ROOM = 4 * GIB
"""Bytes left free, for builds inside. Holes cost nothing in the image."""

BLOCK = 4096


def write_ext4(
    folder: Path,
    *,
    layers: Sequence[Path],
    tools: Sequence[Path],
    leave: Sequence[str],
    workspace: Workspace,
    uuid: UUID,
    overlay: bool,
) -> Path:
    """Make the file system in `folder` and return its raw file.

    layers: the trees of the packages, bottom first; leave: globs of what it does not hold; tools:
    the trees, bottom first, that mke2fs is run in. Raises BuildError if that fails.
    """
    composer = Composer(fresh_folder(folder), overlay)
    work = workspace.lay_out(folder / "workspace")
    sources = workspace.bind_sources(work, "/tree")
    content = fresh_folder(folder / "points")
    for name in ("proc", "dev", "tmp", "tree", "out"):
        (content / name).mkdir()
    out = fresh_folder(folder / "out")
    mounts = [
        scratch("/tmp"),
        bound("/out", out, writable=True),
        composer.readonly("/tree", [*_without(layers, leave, folder / "left"), work]),
        *sources,
    ]
    size = round_up(_size([*layers, work], workspace.sources) + ROOM, GIB)
    environment = {"PATH": "/usr/bin", "SOURCE_DATE_EPOCH": str(SOURCE_DATE_EPOCH)}
    place = Sandbox(folder, composer.readonly("/", [*tools, content]), mounts, environment)
    log = folder / "log"
    (result,) = enter(place, [_mke2fs(uuid, size)], log=log)
    if result.status:
        raise BuildError(
            f"mke2fs ended with status {result.status}",
            where=os.fspath(log),
            hint="\n  ".join(log.read_text(errors="replace").splitlines()[-8:]),
        )
    return out / "root.ext4"


def _mke2fs(uuid: UUID, size: int) -> Command:
    program = ("mke2fs", "-q", "-t", "ext4", "-b", str(BLOCK), "-I", "256", "-m", "0")
    extended = f"hash_seed={uuid},root_owner=0:0,no_copy_xattrs"
    identity = ("-U", str(uuid), "-L", "bq2", "-E", extended)
    return Command((*program, *identity, "-d", "/tree", "/out/root.ext4", f"{size >> 10}k"), "/")


def _size(layers: Sequence[Path], sources: Sequence[Path]) -> int:
    """About what the contents take, in bytes."""
    files = [entry.status.st_size for entry in merge(layers)]
    files += [path.stat().st_size for path in sources]
    return sum(round_up(size, BLOCK) + BLOCK for size in files)


def _without(layers: Sequence[Path], leave: Sequence[str], folder: Path) -> list[Path]:
    """The layers; one that holds something of `leave` as a tree of links that does not.

    One that another user unpacked, in a cache that is shared, as a copy.
    """
    result = []
    for number, layer in enumerate(layers):
        kept = merge([layer], leave=leave)
        foreign = not all(is_own(entry.status) for entry in kept)
        if foreign or len(kept) < len(merge([layer])):
            layer = link_tree(kept, folder / str(number), copy=foreign)
        result.append(layer)
    return result
