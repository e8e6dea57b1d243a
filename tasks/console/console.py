"""Prints the output of tasks, as whole lines.

    say ──▶ the printer of the current view (tasks/console/views.py) ──▶ standard output

A closed or missing console, or one that cannot show a character, never stops a run. But
`undelivered` reports lost output at the end, for commands whose purpose is their output.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from plan.errors import inert


def _open_what_is_closed() -> None:
    """Open /dev/null for standard input, output or error if the caller closed it.

    Otherwise the next opened file would get the number, and the printed text.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None and os.open(os.devnull, os.O_RDWR) == number:
            setattr(sys, name, os.fdopen(number, "w" if number else "r"))
            os.set_inheritable(number, True)


_open_what_is_closed()
_lock = threading.RLock()
# While a task runs, doit replaces sys.stdout.
_stdout = sys.stdout
_printer: Callable[[str, str], None] | None = None
# Tone of a text → its rendition (ECMA-48: SGR). All are readable on light and on dark terminals.
TONES = {"bad": "1;31", "good": "32", "warn": "35", "name": "1", "faint": "2"}
_lost: OSError | None = None


def say(text: str, tone: str = "") -> None:
    """Print `text` as whole lines, from any thread; the first line has the `tone`."""
    # Without _lock: a printer has a lock of its own, and prints while it has that (`raw`).
    (_printer or write)(text, tone)


def write_with(printer: Callable[[str, str], None] | None) -> None:
    """Make `say` call `printer`; None: print directly again."""
    global _printer
    _printer = printer


def write(text: str, tone: str = "") -> None:
    """Print `text` as whole lines in every view; terminal control characters are escaped."""
    raw(shown(text, tone))


def shown(text: str, tone: str) -> str:
    """The characters that print `text`; its first line that is not empty has the `tone`."""
    first, newline, rest = inert(text).lstrip("\n").partition("\n")
    empty = "\n" * (len(text) - len(text.lstrip("\n")))
    return f"{empty}{toned(first, tone)}{newline}{rest}\n"


def toned(text: str, tone: str) -> str:
    """`text` in a tone of TONES, if the console shows colours and NO_COLOR is not set."""
    return f"\x1b[{TONES[tone]}m{text}\x1b[0m" if text and tone and has_colours() else text


def has_colours() -> bool:
    """Whether standard output is a terminal with colours, and the person wants them."""
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"
    return wanted and _stdout.isatty()


def descriptor() -> int:
    """The file descriptor of standard output."""
    return _stdout.fileno()


def raw(text: str) -> None:
    """Print exactly `text`, our own; "?" replaces what the console cannot show."""
    global _lost
    encoding = _stdout.encoding or "utf-8"
    # A closed terminal or pipe must not end a build of hours.
    with _lock, contextlib.suppress(ValueError):
        try:
            _stdout.write(text.encode(encoding, "replace").decode(encoding))
            _stdout.flush()
        except OSError as error:
            _lost = _lost or error
            _drop()


def _drop() -> None:
    """Send the rest of the output to /dev/null: Python would fail to write it when it ends."""
    with contextlib.suppress(OSError), Path(os.devnull).open("wb") as nothing:
        os.dup2(nothing.fileno(), _stdout.fileno())
        _stdout.flush()


@contextlib.contextmanager
def taking() -> Iterator[io.StringIO]:
    """Collect what others print, or write to the yielded file, and print it at the end; terminal
    control characters are escaped.
    """
    text = io.StringIO()
    try:
        with contextlib.redirect_stdout(text):
            yield text
    finally:
        raw(inert(text.getvalue()))


def undelivered() -> bool:
    """Whether some of the output could not be written; then standard error says so.

    A closed pipe is no failure: its reader has seen enough.
    """
    if _lost is None or isinstance(_lost, BrokenPipeError):
        return False
    with contextlib.suppress(OSError):
        sys.stderr.write(f"ERROR: standard output cannot be written: {_lost.strerror}\n")
    return True


def size() -> tuple[int, int]:
    """The columns and rows of the terminal now; 80 and 24 if standard output is none.

    COLUMNS and LINES are not read: they do not change when the terminal is resized.
    """
    try:
        columns, rows = os.get_terminal_size(_stdout.fileno())
    except (OSError, ValueError):
        columns, rows = 0, 0
    return columns or 80, rows or 24


def is_screen() -> bool:
    """Whether standard output is a terminal that can show a panel."""
    plain = os.environ.get("TERM", "dumb") == "dumb" or "CI" in os.environ
    return not plain and _stdout.isatty()
