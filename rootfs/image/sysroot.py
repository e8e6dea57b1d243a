"""Writes the sysroot tarball: the merged packages, and the workspace to build them again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rootfs.archives import pack
from rootfs.image.names import SOURCES
from rootfs.image.workspace import Workspace


def write_sysroot(
    out: pack.Sink,
    *,
    layers: Sequence[Path],
    exclude: Sequence[str],
    workspace: Workspace,
    scratch: Path,
) -> None:
    """Write the tarball to `out`.

    layers: the trees of the artifacts, bottom first. exclude: globs of files to leave out.
    scratch: a directory for temporary files. Raises BuildError if a path is a directory in one tree
    and a file in another.
    """
    composed = [*layers, workspace.lay_out(scratch)]
    pack.pack(composed, out, exclude=exclude)
    for source in sorted(workspace.sources):
        # A fixed mode: copying or unpacking a cache may change the modes of its files.
        pack.add_file(out, f"{SOURCES}/{source.name}", source, mode=0o444)
    pack.finish(out)
