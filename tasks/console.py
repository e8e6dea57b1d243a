"""How tasks speak: one line at a time, and a BuildError as doit's failure of the task.

What the system refuses (a full disk, a folder that may not be written to) can show at any file,
so it becomes a failure here, for all of them.
"""

from __future__ import annotations

import errno
import functools
import sys
import threading
from collections.abc import Callable
from typing import Any

from doit.exceptions import TaskFailed

from plan.errors import BuildError

_lock = threading.Lock()


def say(text: str) -> None:
    """Print `text` as whole lines, whichever thread it comes from."""
    with _lock:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def speaking(action: Callable[..., Any]) -> Callable[..., Any]:
    """`action` as doit wants it: a BuildError becomes the task's failure, with its text alone."""

    @functools.wraps(action)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        try:
            result = action(*arguments, **named)
        except SetupFailed as error:
            return TaskFailed(str(error), report=False)
        except BuildError as error:
            return TaskFailed(str(error))
        except OSError as error:
            return TaskFailed(str(_refused(error)))
        return result is not False

    return wrapped


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
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    hint = (
        "free some space for the work directory, the cache or the output, and run again: "
        "what is built is kept"
    )
    where = error.filename2 or error.filename
    return BuildError(error.strerror or str(error), where=where, hint=hint if full else None)
