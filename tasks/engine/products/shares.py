"""What each package costs in the image: the bytes of its files there.

    trees of the artifacts ──merged, without what the set excludes──▶ files, by package ──▶ Share

They are those of the last build. Only trees that are unpacked count: nothing is built for this.
"""

from __future__ import annotations

import stat
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from rootfs.archives.tree import Entry, merge
from tasks.engine.project import Project
from tasks.engine.stamps import product_artifacts


@dataclass(frozen=True)
class Share:
    """The files of a package in the image: their number and bytes.

    packed: the bytes when they alone are compressed (zlib), or None. The whole initramfs is
    compressed in the kernel; a root partition is not.
    """

    files: int
    size: int
    packed: int | None


def shares(project: Project) -> dict[str, Share]:
    """The share of each package of the image whose tree is unpacked, by name."""
    chosen = project.plan.set
    names = chosen.initramfs.packages if not chosen.root else tuple(project.plan.product)
    exclude = chosen.initramfs.exclude if not chosen.root else chosen.exclude
    made = product_artifacts(project)
    trees = {name: project.store.tree(made[name]) for name in names if name in made}
    there = {name: tree for name, tree in trees.items() if tree.is_dir()}
    of = list(there)
    found = dict[str, list[Entry]]({name: [] for name in of})
    for entry in merge(list(there.values()), exclude=exclude):
        if stat.S_ISREG(entry.status.st_mode) and entry.link is None:
            found[of[entry.layer]].append(entry)
    return {
        name: Share(
            len(entries),
            sum(entry.status.st_size for entry in entries),
            None if chosen.root else _packed(entries),
        )
        for name, entries in found.items()
    }


def _packed(entries: Iterable[Entry]) -> int:
    """The size of the contents, compressed."""
    packer = zlib.compressobj(9)
    parts = (len(packer.compress(entry.source.read_bytes())) for entry in entries)
    return sum(parts) + len(packer.flush())
