"""Makes the root file system of an image: ext4, with our own e2fsprogs in the sandbox.

    trees of the packages ─┐
    workspace ─────────────┼─overlay─▶ /tree ──mke2fs -d──▶ raw, sparse file
    sources ───────bound───┘                      ▲
    trees of the tools, mostly those packages ────┘

The bytes depend only on the contents and the UUID: mke2fs sorts its input, and replaces every time
later than SOURCE_DATE_EPOCH with that time.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from plan.compiling.toolchain import SOURCE_DATE_EPOCH
from plan.errors import BuildError
from plan.model import Command
from rootfs.archives.files import fresh_directory, is_own
from rootfs.archives.tree import merge
from rootfs.image.disk import round_up
from rootfs.image.workspace import Workspace
from rootfs.sandbox.compose import Composer, bound, link_tree, scratch
from rootfs.sandbox.enter import Sandbox, enter

GIB = 1 << 30
ROOM = 4 * GIB
"""Free bytes, for builds inside. Holes take no space in the image."""

BLOCK = 4096


def write_ext4(
    directory: Path,
    *,
    layers: Sequence[Path],
    tools: Sequence[Path],
    exclude: Sequence[str],
    workspace: Workspace,
    uuid: UUID,
    overlay: bool,
) -> Path:
    """Make the file system in `directory` and return its raw file.

    layers: the trees of the packages, bottom first. exclude: globs of files to leave out. tools:
    the trees of the root that mke2fs runs in, bottom first. Raises BuildError if it fails.
    """
    composer = Composer(fresh_directory(directory), overlay)
    work = workspace.lay_out(directory / "workspace")
    sources = workspace.bind_sources(work, "/tree")
    content = fresh_directory(directory / "points")
    for name in ("proc", "dev", "tmp", "tree", "out"):
        (content / name).mkdir()
    out = fresh_directory(directory / "out")
    mounts = [
        scratch("/tmp"),
        bound("/out", out, writable=True),
        composer.readonly("/tree", [*_without(layers, exclude, directory / "left"), work]),
        *sources,
    ]
    size = round_up(_size([*layers, work], workspace.sources) + ROOM, GIB)
    environment = {"PATH": "/usr/bin", "SOURCE_DATE_EPOCH": str(SOURCE_DATE_EPOCH)}
    place = Sandbox(directory, composer.readonly("/", [*tools, content]), mounts, environment)
    log = directory / "log"
    (result,) = enter(place, [_mke2fs(uuid, size)], log=log)
    if result.status:
        raise BuildError(
            f"mke2fs failed with status {result.status}",
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
    """The approximate size of the contents in bytes."""
    # How large a directory is depends on the file system of this machine.
    files = [
        0 if stat.S_ISDIR(entry.status.st_mode) else entry.status.st_size for entry in merge(layers)
    ]
    files += [path.stat().st_size for path in sources]
    return sum(round_up(size, BLOCK) + BLOCK for size in files)


def _without(layers: Sequence[Path], exclude: Sequence[str], directory: Path) -> list[Path]:
    """The layers without files that match `exclude`.

    A layer with such files becomes a tree of hard links; a layer with files of another user (of a
    shared cache) becomes a copy.
    """
    result = []
    for number, layer in enumerate(layers):
        kept = merge([layer], exclude=exclude)
        foreign = not all(is_own(entry.status) for entry in kept)
        if foreign or len(kept) < len(merge([layer])):
            layer = link_tree(kept, directory / str(number), copy=foreign)
        result.append(layer)
    return result
