"""Ctrl-C and SIGTERM: stop the builds in flight, save what doit knows, leave with 128 + signal.

doit writes its state when its runner unwinds. SIGTERM would end the process without that, and
KeyboardInterrupt would print a traceback, so both become SystemExit in the main thread.

    signal ──kernel──▶ any thread ──byte──▶ waker ──SIGURG──▶ main thread, which handles it

Python handles signals in the main thread alone, when it next does anything; here it mostly waits
for the others. To a process that is stopped (Ctrl-Z, then `kill %1`) the kernel gives a signal in
whichever thread goes on first, so the main one has to be woken.
"""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

from rootfs import enter
from tasks.console import say

# While a shell or a guest has the terminal, Ctrl-C is theirs.
terminal_taken = threading.Event()

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def install() -> None:
    """Handle SIGINT, SIGTERM and SIGHUP from now on; but nohup(1) means what it says."""
    for number in _ENDING:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)
    signal.signal(signal.SIGURG, lambda number, frame: None)
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    threading.Thread(target=_wake_main_thread, args=(read_end,), daemon=True).start()


def _wake_main_thread(arrived: int) -> None:
    """Interrupt the main thread's waiting for each signal whose number comes from `arrived`."""
    main = threading.main_thread().ident
    while main:
        if {*os.read(arrived, 64)} & {*_ENDING}:
            signal.pthread_kill(main, signal.SIGURG)


def _stop(number: int, frame: FrameType | None) -> None:
    del frame
    if number == signal.SIGINT and terminal_taken.is_set():
        return
    for each in _ENDING:
        signal.signal(each, signal.SIG_IGN)
    enter.stop_all()
    say("\ninterrupted: what is built is kept, the next run goes on from there")
    raise SystemExit(128 + number)
