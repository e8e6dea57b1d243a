"""The processes that this process starts: `stop_all` ends them when the run is interrupted.

`signal_all` pauses and continues them: a sandbox has a session of its own, so Ctrl-Z does not reach
it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

_running: set[subprocess.Popen[bytes]] = set()
_elsewhere: list[Callable[[], None]] = []
# A signal may come while the main thread has the lock, and its handler calls stop_all.
_lock = threading.RLock()


def stop_all() -> None:
    """Kill every sandbox and every other process started here. Namespaces end with them."""
    with _lock:
        for process in _running:
            process.kill()
    for stop in _elsewhere:
        stop()


def also_stop(stop: Callable[[], None]) -> None:
    """Have `stop_all` call `stop` too: it ends what runs on other machines, and raises nothing."""
    _elsewhere.append(stop)


def signal_all(number: int) -> None:
    """Send a signal to every process group that was started here."""
    with _lock:
        for process in _running:
            # One that shares the group of this process gets its signals from the terminal.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)


@contextmanager
def started(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process that `stop_all` can end; it is killed if it still runs after the block.

    `options` are those of subprocess.Popen.
    """
    with _lock:
        process = subprocess.Popen(command, **options)
        _running.add(process)
    try:
        yield process
    finally:
        with _lock:
            _running.discard(process)
        if process.poll() is None:
            process.kill()
            process.wait()
