"""A file system of another kind for the second build: a file, mounted by a loop device.

    kind that this disk is not ──mkfs──▶ a sparse file ──mount, in a namespace──▶ directory

Only root can mount one. Nobody else sees the mount, and it ends with this process. The file has no
name as soon as it is mounted: nothing of it stays, however this process ends.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from plan.errors import BuildError
from rootfs.sandbox import host, namespaces

# The kinds, the best first, and the programs that make them.
MAKERS = {"xfs": ("mkfs.xfs", "-q"), "btrfs": ("mkfs.btrfs", "-q"), "ext4": ("mkfs.ext4", "-q")}
_LEAST = 1 << 30  # bytes; mkfs.xfs wants 300 MB


def other_kind(directory: Path) -> str:
    """A kind of file system that `directory` is not on, and that can be made here; or ""."""
    own = host.file_system(directory)
    kinds = (kind for kind, maker in MAKERS.items() if kind != own and shutil.which(maker[0]))
    return next(kinds, "")


def refused(directory: Path) -> str:
    """Try it in `directory`: why no other file system can be mounted there, or "" if it can."""
    if os.geteuid():
        return "only root mounts a file system"
    if not other_kind(directory):
        makers = ", ".join(maker for maker, *_ in MAKERS.values())
        return f"none of {makers} is on the PATH and makes another kind"
    there = host.existing(directory)  # before the first build the work directory is not there yet
    try:
        with (
            tempfile.TemporaryDirectory(prefix=".bq2-trial-", dir=there) as name,
            mounted(Path(name) / "disk"),
        ):
            return ""
    except BuildError as error:
        return error.message
    except OSError as error:
        return f"{there}: {error.strerror}"


@contextmanager
def mounted(directory: Path) -> Iterator[Path]:
    """Make `directory`, with a file system of another kind on it, as large as this disk has room.

    Raises BuildError if it cannot be made or mounted.
    """
    directory.mkdir()
    kind = other_kind(directory)
    _seclude()
    handle, name = tempfile.mkstemp(dir=directory.parent)
    os.close(handle)
    try:
        os.truncate(name, max(_LEAST, shutil.disk_usage(directory).free))
        _run([*MAKERS[kind], name])
        _run(["mount", "-t", kind, "-o", "loop", name, os.fspath(directory)])
    finally:
        Path(name).unlink()
    try:
        yield directory
    finally:
        namespaces.libc.umount2(os.fsencode(directory), namespaces.MNT_DETACH)


def _seclude() -> None:
    """Give this process mounts of its own."""
    try:
        namespaces.unshare(namespaces.CLONE_NEWNS)
        namespaces.mount("", "/", "", namespaces.MS_REC | namespaces.MS_PRIVATE)
    except namespaces.SetupError as error:
        stage, number, _ = error.args
        raise BuildError(f"{stage}: {os.strerror(number)}") from error


def _run(command: Sequence[str]) -> None:
    try:
        subprocess.run(command, capture_output=True, text=True, errors="replace", check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        output = error.stderr if isinstance(error, subprocess.CalledProcessError) else ""
        told = (output.strip() or str(error)).splitlines()[0]
        raise BuildError(
            f"no other file system can be mounted: {told}", where=command[0]
        ) from error
