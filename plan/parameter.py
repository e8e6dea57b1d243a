"""What a parameter of a run is. plan/parameters.py has all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from plan import checks


@dataclass(frozen=True)
class Parameter:
    """One parameter: `check` turns the given text into its canonical text or raises ValueError.

    `placed` runs before it: it makes a relative path absolute.
    If the default depends on the machine, the docstring of `default` says what it is.
    of: the commands that read it; empty if all do, because all use one plan.
    """

    name: str
    default: Callable[[], str]
    check: Callable[[str], str]
    help: str
    of: tuple[str, ...] = ()
    secret: bool = False
    """Whether its value is never shown, and never given on a command line, which others can see."""
    placed: Callable[[str, Path], str] = checks.as_it_is


def constant(text: str) -> Callable[[], str]:
    """A default that is the same on every machine."""
    return lambda: text
