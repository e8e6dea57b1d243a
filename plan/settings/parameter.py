"""What a parameter of a run is. plan/settings/parameters.py has all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from plan import checks

# No parameter accepts this value, so its check raises an error that lists the valid values.
_REFUSED = "?"
_FLAGS = {"0": "no", "1": "yes"}


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
    once: bool = False
    """Whether it is for one command, so that only the command line may give it."""
    placed: Callable[[str, Path], str] = checks.as_it_is

    def takes(self) -> str:
        """Which values it may have, in words."""
        try:
            self.check(_REFUSED)
        except ValueError as error:
            return str(error).removeprefix("it must be ").removeprefix("known: ")
        return "a text"

    def default_in_words(self) -> str:
        """Its default as a person would write it, or what it is; "" if there is none."""
        if self.default.__doc__:
            return self.default.__doc__
        text = self.default()
        return _FLAGS[text] if self.check is checks.flag else text


def constant(text: str) -> Callable[[], str]:
    """A default that is the same on every machine."""
    return lambda: text
