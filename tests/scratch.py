"""The directory of a test run for temporary files, and for those of all that it starts: TMPDIR.

    /tmp/bq2-test-<pid>    removed at the end; what a killed run left, at the start of the next

A killed process cannot remove its temporary files, and many tests kill one. pytest's own
directories (`tmp_path`) stay where they are: they keep what a failed test left.
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from rootfs.archives.files import remove_tree
from rootfs.sandbox import host

_NAME = "bq2-test-"
IN_MEMORY = host.file_system(Path(tempfile.gettempdir())) == "tmpfs"
"""A file system in memory lists files in one order: what needs another one cannot be tested."""


def begin() -> Path:
    """Make the directory of this process, and make it the one for temporary files."""
    top = tempfile.gettempdir()
    _sweep(Path(top))
    directory = Path(top, f"{_NAME}{os.getpid()}")
    directory.mkdir(mode=0o711)  # other users may enter what is open in it
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", top)
    _use(directory)
    return directory


def end(directory: Path) -> None:
    """Remove the directory that `begin` made."""
    _use(directory.parent)
    remove_tree(directory)


def open_all(top: Path) -> None:
    """Let this user enter all directories below `top`; pytest removes only what it can enter."""
    for directory, names, _ in os.walk(top):
        for path in (Path(directory, name) for name in names):
            mode = path.lstat().st_mode
            if stat.S_ISDIR(mode) and mode & stat.S_IRWXU != stat.S_IRWXU:
                path.chmod(stat.S_IRWXU)


def _use(directory: Path) -> None:
    os.environ["TMPDIR"] = tempfile.tempdir = os.fspath(directory)


def _sweep(top: Path) -> None:
    """Remove this user's directories whose process has ended."""
    for path in top.glob(f"{_NAME}[0-9]*"):
        is_running = Path("/proc", path.name.removeprefix(_NAME)).exists()
        if not is_running and path.lstat().st_uid == os.geteuid():
            remove_tree(path)
