"""How tasks speak: one line at a time, and a BuildError as doit's failure of the task.

    say ──▶ the printer of the view that is on (tasks/views.py) ──▶ standard output

A console that is gone, or was never there, or cannot show a character, never stops anything. But
what is lost of the output is known in the end (`undelivered`), for whoever exists to print it.

What the system refuses (a full disk, a folder that may not be written to) can show at any file,
so it becomes a failure here, for all of them.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from doit.exceptions import TaskFailed

from plan.errors import BuildError, inert
from plan.room import no_room


def _open_what_is_closed() -> None:
    """Give standard input, output and error that were closed by whoever started this to /dev/null.

    Else the next file to be opened would get their number, and what is printed.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None and os.open(os.devnull, os.O_RDWR) == number:
            setattr(sys, name, os.fdopen(number, "w" if number else "r"))
            os.set_inheritable(number, True)


_open_what_is_closed()
_lock = threading.RLock()
# While a task runs, doit puts something else in its place.
_stdout = sys.stdout
_printer: Callable[[str], None] | None = None
_lost: OSError | None = None


def say(text: str) -> None:
    """Print `text` as whole lines, whichever thread it comes from."""
    with _lock:
        (_printer or write)(text)


def write_with(printer: Callable[[str], None] | None) -> None:
    """Have `say` call `printer`, or with None print by itself again."""
    global _printer
    _printer = printer


def write(text: str) -> None:
    """Print `text` as whole lines, whatever view is on; what steers a terminal is shown."""
    raw(inert(text) + "\n")


def raw(text: str) -> None:
    """Print exactly `text`, which is ours, with "?" for what the console cannot show."""
    global _lost
    encoding = _stdout.encoding or "utf-8"
    # Who closed the terminal or the pipe shall not end a build of hours.
    with _lock, contextlib.suppress(ValueError):
        try:
            _stdout.write(text.encode(encoding, "replace").decode(encoding))
            _stdout.flush()
        except OSError as error:
            _lost = _lost or error


@contextlib.contextmanager
def taking() -> Iterator[io.StringIO]:
    """Print by `raw`, in the end, what others print meanwhile or write to what this gives."""
    text = io.StringIO()
    try:
        with contextlib.redirect_stdout(text):
            yield text
    finally:
        raw(text.getvalue())


def undelivered() -> bool:
    """Whether some of the output could not be written, which is then said on standard error.

    Who closes a pipe has seen enough: that is no failure.
    """
    if _lost is None or isinstance(_lost, BrokenPipeError):
        return False
    with contextlib.suppress(OSError):
        sys.stderr.write(f"ERROR: standard output cannot be written: {_lost.strerror}\n")
    return True


def is_screen() -> bool:
    """Whether standard output is a terminal that a panel can be drawn on."""
    plain = os.environ.get("TERM", "dumb") == "dumb" or "CI" in os.environ
    return not plain and _stdout.isatty()


def in_words(seconds: float) -> str:
    """A duration as people say it: "40 s", "12 min", "2 h 05 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"


def speaking(action: Callable[..., Any]) -> Callable[..., Any]:
    """`action` as doit wants it: a BuildError becomes the task's failure, with its text alone."""

    @functools.wraps(action)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        try:
            result = action(*arguments, **named)
        except SetupFailed as error:
            return TaskFailed(str(error), report=False)
        except BuildError as error:
            return Failed(error)
        except OSError as error:
            return Failed(_refused(error))
        return result is not False

    return wrapped


class Failed(TaskFailed):  # type: ignore[misc]
    """doit's failure of a task, with the error that it is of."""

    def __init__(self, error: BuildError) -> None:
        super().__init__(str(error))
        self.error = error


class SetupFailed(BuildError):
    """A task cannot begin because what it stands on failed, which was reported already."""


def standing(check: Callable[[], bool]) -> Callable[[], bool]:
    """`check` as doit's up-to-date test: what cannot be found out is for the action to report."""

    def wrapped() -> bool:
        try:
            return check()
        except BuildError:
            return False

    return wrapped


def _refused(error: OSError) -> BuildError:
    """What the system said, of which file, and what helps if it is space that lacks."""
    where = error.filename2 or error.filename
    hint = no_room(error, Path(where or os.curdir))
    if hint:
        hint += ", and run again: what is built is kept"
    return BuildError(error.strerror or str(error), where=where, hint=hint)
