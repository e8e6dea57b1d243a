"""The sysroot tarball: the composed tree, and beside it all that it was made from.

    /usr, /etc, …                     the artifacts, composed
    /workspace/bootstrap-qcow2/…      this project
    /workspace/plan.json              every step as it was run
    /workspace/cache/sources/<sha256> the sources; BQ2_CACHE=/workspace/cache makes them a cache

The file appears under its name when it is complete and on the disk, or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from rootfs import pack
from rootfs.files import replacing

WORKSPACE = "workspace"
PROJECT = f"{WORKSPACE}/bootstrap-qcow2"
SOURCES = f"{WORKSPACE}/cache/sources"


def write_sysroot(
    out: Path,
    *,
    layers: Sequence[Path],
    leave: Sequence[str],
    own: Sequence[tuple[str, bytes, bool]],
    plan: str,
    sources: Sequence[Path],
) -> None:
    """Write the tarball `out`.

    layers: the trees of the artifacts, bottom first; leave: globs of what it does not hold.
    own: path, content and executability of this project's files. plan: the text of plan.json.
    sources: the fetched files, named by their hash. Raises BuildError where trees contradict.
    """
    with replacing(out) as file:
        pack.pack(layers, file, leave=leave)
        for folder in (WORKSPACE, f"{WORKSPACE}/cache", SOURCES):
            pack.add_folder(file, folder)
        for source in sorted(sources):
            # Who unpacked or copied a cache may have given its files another mode.
            pack.add_file(file, f"{SOURCES}/{source.name}", source, mode=0o444)
        pack.add_bytes(file, f"{WORKSPACE}/plan.json", plan.encode())
        _add_project(file, own)
        pack.finish(file)


def _add_project(file: pack.Sink, own: Sequence[tuple[str, bytes, bool]]) -> None:
    folders = {PROJECT}
    for path, _, _ in own:
        parents = PurePosixPath(f"{PROJECT}/{path}").parents
        folders |= {str(parent) for parent in parents if str(parent).startswith(PROJECT)}
    for folder in sorted(folders):
        pack.add_folder(file, folder)
    for path, content, executable in own:
        mode = 0o755 if executable else 0o644
        pack.add_bytes(file, f"{PROJECT}/{path}", content, mode=mode)
