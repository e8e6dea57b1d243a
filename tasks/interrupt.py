"""Ctrl-C and SIGTERM: stop the builds in flight, save what doit knows, leave with 128 + signal.

doit writes its state when its runner unwinds. SIGTERM would end the process without that, and
KeyboardInterrupt would print a traceback, so both become SystemExit in the main thread.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

from rootfs import enter
from tasks.console import say

# While a shell or a guest has the terminal, Ctrl-C is theirs.
terminal_taken = threading.Event()


def install() -> None:
    """Handle SIGINT, SIGTERM and SIGHUP from now on; but nohup(1) means what it says."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    del frame
    if number == signal.SIGINT and terminal_taken.is_set():
        return
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    enter.stop_all()
    say("\ninterrupted: what is built is kept, the next run goes on from there")
    raise SystemExit(128 + number)
