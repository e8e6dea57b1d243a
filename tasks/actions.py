"""Turns functions into doit actions: a BuildError or OSError becomes the failure of the task.

    action ──raises──▶ BuildError, OSError ──▶ doit's TaskFailed, with the error inside

A system error (a full disk, a directory without write permission) can happen at any file, so all
of them become failures here.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from doit import get_initial_workdir
from doit.exceptions import InvalidCommand, TaskFailed

from plan.errors import BuildError
from plan.room import no_room
from tasks.engine.project import SetupFailed

# What a creator hands to doit: the keys of a task ("actions", "file_dep", ...) with their values.
DoitTask = dict[str, Any]


def caller_directory() -> Path:
    """Where the person called: doit itself changes to the directory of dodo.py."""
    return Path(get_initial_workdir() or Path.cwd())


def speaking(action: Callable[..., Any]) -> Callable[..., Any]:
    """`action` for doit: a BuildError becomes the task's failure, shown without a traceback."""

    @functools.wraps(action)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        try:
            result = action(*arguments, **named)
        except SetupFailed as error:
            return TaskFailed(str(error), report=False)
        except (BuildError, OSError) as error:
            return Failed(as_told(error))
        return result is not False

    return wrapped


class Failed(TaskFailed):  # type: ignore[misc]
    """doit's failure of a task, with its error."""

    def __init__(self, error: BuildError) -> None:
        super().__init__(str(error))
        self.error = error


def up_to_date(check: Callable[[], bool]) -> Callable[[], bool]:
    """`check` as doit's up-to-date test. An error means "no": the action reports it."""

    def wrapped() -> bool:
        try:
            return check()
        except (BuildError, OSError):
            return False

    return wrapped


@contextlib.contextmanager
def refusing() -> Iterator[None]:
    """What is outside of an action: its errors end the command, without a traceback."""
    try:
        yield
    except (BuildError, OSError) as error:
        raise InvalidCommand(str(as_told(error))) from None


def as_told(error: BuildError | OSError) -> BuildError:
    """`error` as a BuildError: of the system, with the file, and a remedy for a full disk."""
    if isinstance(error, BuildError):
        return error
    where = error.filename2 or error.filename
    hint = no_room(error, Path(where or os.curdir))
    if hint:
        hint += ", and run again: finished builds are kept"
    return BuildError(error.strerror or str(error), where=where, hint=hint)
