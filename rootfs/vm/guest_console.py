"""Runs a program on pipes and reads, records or connects its console to this terminal.

The program never outlives this process (not even after `kill -9`), gets no signal from keys of the
terminal, and has ended when its block ends. The terminal's settings are always restored, except
after `kill -9` of this process.

    keyboard --> typed --> program's stdin
    program's stdout ----> heard(bytes) -> True: enough
    program's stderr ----> Program.complaints
    SIGINT TERM HUP -----> alarm            (joined() delivers them again at its end)
"""

from __future__ import annotations

import contextlib
import enum
import os
import select
import selectors
import signal
import subprocess
import sys
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

from plan.errors import BuildError

QUIT_KEY = b"\x1d"  # Ctrl-]

# prctl(2): 1 is PR_SET_PDEATHSIG. A preexec_fn is not safe with threads, so a new interpreter makes
# the call and then executes the program. It checks the parent's id afterwards: the parent may have
# died before the call.
_DIE_WITH_PARENT = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, int(signal.SIGKILL), 0, 0, 0)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""

# QEMU prints this, stops the guest, and waits forever.
_KVM_FAULT = b"KVM internal error"


class End(enum.Enum):
    """Why listening ended."""

    GONE = "the program ended"
    ENOUGH = "heard() returned True"
    TIMEOUT = "the time is over"
    QUIT = "the quit key"
    SIGNAL = "a signal arrived"
    FAULT = "KVM failed"


class Program:
    """A running program on three pipes; a context manager that ends it.

    argv: argv[0] is the program's absolute path. keep: file descriptors that it inherits.
    started: time.monotonic() of its start. complaints: its output on stderr so far.
    Raises BuildError if this machine cannot start another process.
    It dies with the *thread* that made it (prctl(2)): call listen() in that thread.
    """

    def __init__(self, argv: Sequence[str], *, keep: Sequence[int] = ()) -> None:
        self.complaints = bytearray()
        self.started = time.monotonic()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *argv],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,  # Ctrl-C on a terminal goes to this process only
                pass_fds=keep,
                env={**os.environ, "LC_ALL": "C"},
            )
        except OSError as error:
            raise BuildError(f"cannot be started: {error.strerror}", where=argv[0]) from error
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self.stdin = self._process.stdin.fileno()
        self.stdout = self._process.stdout.fileno()
        self.stderr = self._process.stderr.fileno()
        os.set_blocking(self.stdin, False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.end()

    def wait(self) -> int:
        """Wait for the end; return the exit status (negative: a signal)."""
        return self._process.wait()

    def end(self, *, grace_s: float = 5) -> None:
        """Terminates the program, kills it after `grace_s` seconds, closes the pipes."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(grace_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe:
                pipe.close()


class _Listener:
    """One call of listen(): one handler per descriptor, which returns an End or None."""

    def __init__(self, program: Program, heard: Callable[[bytes], bool], keyboard: int | None):
        self._program = program
        self._heard = heard
        self._keyboard = keyboard
        self._typed = b""
        self._open = 2
        # poll, not epoll: standard input may be a file, which epoll refuses.
        self._selector = selectors.PollSelector()
        self._on(program.stdout, self._output)
        self._on(program.stderr, self._complaint)
        if keyboard is not None:
            self._on(keyboard, self._keys)

    def _on(self, fd: int, handler: Callable[[], End | None]) -> None:
        self._selector.register(fd, selectors.EVENT_READ, handler)

    def listen(self, *, seconds: float | None, alarm: int | None) -> End:
        if alarm is not None:
            self._on(alarm, lambda: End.SIGNAL)
        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return End.TIMEOUT
            for key, _ in self._selector.select(left):
                end: End | None = key.data()
                if end:
                    return end

    def _closed(self, fd: int) -> End | None:
        self._selector.unregister(fd)
        self._open -= 1
        return None if self._open else End.GONE

    def _output(self) -> End | None:
        data = os.read(self._program.stdout, 1 << 16)
        if not data:
            return self._closed(self._program.stdout)
        return End.ENOUGH if self._heard(data) else None

    def _complaint(self) -> End | None:
        data = os.read(self._program.stderr, 1 << 16)
        if not data:
            return self._closed(self._program.stderr)
        self._program.complaints += data
        return End.FAULT if _KVM_FAULT in self._program.complaints else None

    def _keys(self) -> End | None:
        assert self._keyboard is not None
        try:
            data = os.read(self._keyboard, 1 << 12)
        except OSError:  # the terminal is gone
            data = b""
        if QUIT_KEY in data and os.isatty(self._keyboard):
            return End.QUIT
        self._selector.unregister(self._keyboard)
        if data:  # read the next keys only after these are written
            self._typed = data
            self._selector.register(self._program.stdin, selectors.EVENT_WRITE, self._type)
        return None

    def _type(self) -> End | None:
        assert self._keyboard is not None
        try:
            self._typed = self._typed[os.write(self._program.stdin, self._typed) :]
        except BrokenPipeError:
            self._typed = b""
        if not self._typed:
            self._selector.unregister(self._program.stdin)
            self._on(self._keyboard, self._keys)
        return None


def listen(
    program: Program,
    heard: Callable[[bytes], bool],
    *,
    keyboard: int | None = None,
    alarm: int | None = None,
    seconds: float | None = None,
) -> End:
    """Passes the program's output to `heard` until the program ends or another End occurs.

    heard: gets each piece of output; True ends the listening (End.ENOUGH).
    keyboard: a descriptor whose bytes go to the program; on a terminal the quit key ends the
    listening. alarm: a descriptor; the listening ends when it is readable. seconds: the time limit.
    """
    return _Listener(program, heard, keyboard).listen(seconds=seconds, alarm=alarm)


def write_all(fd: int, data: bytes) -> None:
    """Writes all of `data`; waits if the terminal is non-blocking. Raises OSError."""
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            select.select([], [fd], [])


@contextlib.contextmanager
def joined(keyboard: int | None) -> Iterator[int]:
    """Holds signals back and makes a terminal at `keyboard` raw during the block.

    Yields the alarm, a descriptor for listen(): it is readable after SIGINT, SIGTERM or SIGHUP. At
    the end of the block all settings are restored; then the former handler gets the signal. Outside
    of the main thread signals are not changed, and the alarm is never readable.
    """
    with contextlib.ExitStack() as stack:
        received: list[int] = []

        def deliver() -> None:
            if received:
                os.kill(os.getpid(), received[0])

        stack.callback(deliver)
        heard, ring = os.pipe()
        stack.callback(os.close, heard)
        stack.callback(os.close, ring)

        def note(number: int, frame: Any) -> None:
            received.append(number)
            if len(received) == 1:
                os.write(ring, b"!")

        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                before = signal.getsignal(number)
                if before is not signal.SIG_IGN:  # nohup needs SIGHUP ignored
                    stack.callback(signal.signal, number, before)
                    signal.signal(number, note)
        if keyboard is not None and os.isatty(keyboard):
            stack.enter_context(_raw(keyboard))
        yield heard


@contextlib.contextmanager
def _raw(terminal: int) -> Iterator[None]:
    saved = termios.tcgetattr(terminal)
    try:
        tty.setraw(terminal)
        yield
    finally:
        # TCSANOW: waiting until output is drained may take forever. A terminal that is gone needs
        # no settings.
        with contextlib.suppress(termios.error):
            termios.tcsetattr(terminal, termios.TCSANOW, saved)
