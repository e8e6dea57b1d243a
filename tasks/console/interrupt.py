"""Ctrl-C and SIGTERM: stop the running builds, save doit's state, exit with 128 + signal.
Ctrl-Z: clear the panel, and pause the builds, until the shell continues this process.

doit writes its state when its runner unwinds. SIGTERM would end the process without that, and
KeyboardInterrupt would print a traceback, so both become SystemExit in the main thread.

    signal ──kernel──▶ any thread ──byte──▶ waker ──SIGURG──▶ main thread, which handles it

Python handles signals only in the main thread, when it runs Python code; here it mostly waits for
the other threads. If a process is stopped (Ctrl-Z, then `kill %1`), the kernel gives the signal to
the thread that continues first, so the main thread must be woken.

Only the main thread may restore what the kernel does at SIGTSTP; the waker prepares it, because it
holds none of the console's locks.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from rootfs.sandbox.started import also_stop, signal_all, stop_all
from tasks.console.console import say

PATIENCE = 60.0  # seconds that a program may need to clean up

# While a shell or a guest uses the terminal, Ctrl-C is for it.
terminal_taken = threading.Event()

received: int | None = None
"""The signal that ends this process."""

on_pause: list[Callable[[bool], None]] = []
"""Called with True before this process is paused, and with False when it continues."""

_pausing, _continued = threading.Event(), threading.Event()
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def name() -> str | None:
    """The name of the signal that ends this process: "SIGINT"."""
    return signal.Signals(received).name if received else None


def run_here(command: Sequence[str], directory: Path, seconds: float | None = None) -> int:
    """The exit status of a program on this terminal, in `directory`. What ends this process ends it
    too, by SIGTERM, so that it can clean up for a minute; Ctrl-C reaches it by itself.

    Raises subprocess.TimeoutExpired after `seconds`.
    """
    with subprocess.Popen(command, cwd=directory) as process:

        def stop() -> None:
            if received != signal.SIGINT:
                process.terminate()

        also_stop(stop)
        try:
            return process.wait(seconds)
        except SystemExit:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
            raise
        finally:
            process.kill()


def install() -> None:
    """Handle these signals from now on, but keep SIGHUP ignored under nohup(1), and SIGTSTP under a
    shell without job control.
    """
    for number in _ENDING:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)
    if signal.getsignal(signal.SIGTSTP) != signal.SIG_IGN:
        signal.signal(signal.SIGTSTP, _ignore)
    signal.signal(signal.SIGURG, _woken)
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    threading.Thread(target=_wake_main_thread, args=(read_end,), daemon=True).start()


def _wake_main_thread(arrived: int) -> None:
    """Wake the main thread for each signal number that is read from `arrived`."""
    main = threading.main_thread().ident
    while main:
        numbers = {*os.read(arrived, 64)}
        if numbers & {*_ENDING}:
            signal.pthread_kill(main, signal.SIGURG)
        elif signal.SIGTSTP in numbers:
            _pause(main)


def _pause(main: int) -> None:
    """Pause this process and its builds, and return when it continues."""
    for tell in on_pause:
        tell(True)
    signal_all(signal.SIGSTOP)
    _pausing.set()
    signal.pthread_kill(main, signal.SIGURG)
    _continued.wait()
    _continued.clear()
    signal_all(signal.SIGCONT)
    for tell in on_pause:
        tell(False)


def _woken(number: int, frame: FrameType | None) -> None:
    del number, frame
    if not _pausing.is_set():
        return
    _pausing.clear()
    try:
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        # It stops here. Not SIGSTOP: where no shell could continue it, the kernel drops SIGTSTP.
        signal.raise_signal(signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, _ignore)
    finally:
        _continued.set()


def _ignore(number: int, frame: FrameType | None) -> None:
    """Python tells the waker of a signal only if it has a handler."""


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
