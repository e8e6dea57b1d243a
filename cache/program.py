"""Runs a program of this machine (pip, git) until it ends, or until fetching is stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence

from cache.download import Stopped

_TICK = 0.1  # seconds between two looks at `stop`


def run(
    argv: Sequence[str], *, stop: threading.Event, environment: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """The exit status of the program `argv`, and what it said on standard error.

    It gets no input and no terminal, and its output is dropped. Raises Stopped if `stop` is set,
    OSError if it cannot be started.
    """
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=environment,
        start_new_session=True,  # without a terminal, ssh cannot ask there
    )
    with process:
        try:
            said = _wait(process, stop)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # git's helpers too
            raise
    return process.returncode, said


def _wait(process: subprocess.Popen[str], stop: threading.Event) -> str:
    while True:
        if stop.is_set():
            raise Stopped
        try:
            return process.communicate(timeout=_TICK)[1]
        except subprocess.TimeoutExpired:
            continue
