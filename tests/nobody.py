"""Runs commands as an ordinary user, and gives directories that another user may enter.

Root is two users: itself and `nobody`. An ordinary user is one: `as_ordinary` is this user then.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rootfs.archives.files import remove_tree

NOBODY = 65534
IS_ROOT = os.geteuid() == 0
ORDINARY = NOBODY if IS_ROOT else os.geteuid()
_BECOME = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
AS_ORDINARY = (*(_BECOME if IS_ROOT else ()), "sh", "-c", 'umask 077; exec "$@"', "sh")
# The users as whom a test can run something.
USERS = ("this user", "nobody") if IS_ROOT else ("this user",)


def ordinary_python() -> str:
    """This interpreter, or the system's where this one lies in a directory that is root's alone."""
    ours = os.path.realpath(sys.executable)
    code = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    for python in (ours, "/usr/bin/python3"):
        if subprocess.run([*AS_ORDINARY, python, "-c", code], check=False).returncode == 0:
            return python
    pytest.skip(f"nobody may run neither {ours} nor one of its version in /usr/bin")


@contextlib.contextmanager
def open_directory() -> Iterator[Path]:
    """A directory that every user of the machine may write to, which pytest's are not."""
    directory = Path(tempfile.mkdtemp(prefix="open-"))
    directory.chmod(0o777)
    try:
        yield directory
    finally:
        remove_tree(directory)
