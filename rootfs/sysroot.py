"""The sysroot tarball: the composed packages, and the workspace to build them again.

The file appears under its name when it is complete and on the disk, or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rootfs import pack
from rootfs.files import replacing
from rootfs.workspace import SOURCES, Workspace


def write_sysroot(
    out: Path, *, layers: Sequence[Path], leave: Sequence[str], workspace: Workspace, scratch: Path
) -> None:
    """Write the tarball `out`.

    layers: the trees of the artifacts, bottom first; leave: globs of what it does not hold.
    scratch: a folder for what is written on the way. Raises BuildError where trees contradict.
    """
    composed = [*layers, workspace.lay_out(scratch)]
    with replacing(out) as file:
        pack.pack(composed, file, leave=leave)
        for source in sorted(workspace.sources):
            # Who unpacked or copied a cache may have given its files another mode.
            pack.add_file(file, f"{SOURCES}/{source.name}", source, mode=0o444)
        pack.finish(file)
