"""Runs commands as an ordinary user when the tests run as root."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

NOBODY = 65534
AS_NOBODY = (
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *("sh", "-c", 'umask 077; exec "$@"', "sh"),
)


def python_of_nobody() -> str:
    """This interpreter, or the system's where this one lies in a directory that is root's alone."""
    ours = os.path.realpath(sys.executable)
    code = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]})"
    for python in (ours, "/usr/bin/python3"):
        if subprocess.run([*AS_NOBODY, python, "-c", code], check=False).returncode == 0:
            return python
    pytest.skip(f"nobody may run neither {ours} nor one of its version in /usr/bin")
