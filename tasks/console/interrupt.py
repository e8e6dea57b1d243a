"""Ctrl-C and SIGTERM: stop the running builds, save doit's state, exit with 128 + signal.

doit writes its state when its runner unwinds. SIGTERM would end the process without that, and
KeyboardInterrupt would print a traceback, so both become SystemExit in the main thread.

    signal ──kernel──▶ any thread ──byte──▶ waker ──SIGURG──▶ main thread, which handles it

Python handles signals only in the main thread, when it runs Python code; here it mostly waits for
the other threads. If a process is stopped (Ctrl-Z, then `kill %1`), the kernel gives the signal to
the thread that continues first, so the main thread must be woken.
"""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

from rootfs.sandbox.started import stop_all
from tasks.console.console import say

# While a shell or a guest uses the terminal, Ctrl-C is for it.
terminal_taken = threading.Event()

received: int | None = None
"""The signal that ends this process."""

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def name() -> str | None:
    """The name of the signal that ends this process: "SIGINT"."""
    return signal.Signals(received).name if received else None


def install() -> None:
    """Handle SIGINT, SIGTERM and SIGHUP from now on, but keep SIGHUP ignored under nohup(1)."""
    for number in _ENDING:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)
    signal.signal(signal.SIGURG, lambda number, frame: None)
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    threading.Thread(target=_wake_main_thread, args=(read_end,), daemon=True).start()


def _wake_main_thread(arrived: int) -> None:
    """Wake the main thread for each signal number that is read from `arrived`."""
    main = threading.main_thread().ident
    while main:
        if {*os.read(arrived, 64)} & {*_ENDING}:
            signal.pthread_kill(main, signal.SIGURG)


def _stop(number: int, frame: FrameType | None) -> None:
    global received
    del frame
    if number == signal.SIGINT and terminal_taken.is_set():
        return
    for each in _ENDING:
        signal.signal(each, signal.SIG_IGN)
    received = number
    stop_all()
    say("\ninterrupted: finished builds are kept, the next run continues from there")
    raise SystemExit(128 + number)
