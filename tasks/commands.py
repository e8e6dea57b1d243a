"""What the commands are for, as data: who writes the work directory, and who exists for its output.

`tests/tasks/test_command_table.py` holds the names against dodo.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from plan.model import PHASES
from plan.parameters import PARAMETERS

# The commands of doit itself that make sense here. It keeps no state that its others could show or
# change (dodo.py), and no task is a command line that strace could follow.
OF_DOIT = ("clean", "forget", "help", "info", "list", "run")

# They only show something, or must be possible while a build runs: they take no lock.
READS = frozenset(
    {
        *("bench", "doctor", "inspect", "licences", "log", "outdated", "overrides", "plan"),
        *("reference", "report", "sbom", "settings", "status", "test", "why"),
    }
)
# Others that only read where this parameter is given.
READS_WITH = {"gc": "dry", "verify": "image"}

# What they make counts, and the stamps and the status tell of it: no console is needed for that.
# All others exist for what they print.
MAKES = frozenset(
    {
        *("bundle", "challenge", "fetch", "image", "pkg", "regenerate", "seed", "sysroot"),
        *("verify", *PHASES),
    }
)

# It shows all parameters.
SHOWS_ALL = "settings"


def only_reads(commands: Iterable[str], given: Callable[[str], bool]) -> bool:
    """Whether none of `commands` writes the work directory; given(NAME): is a parameter given?"""
    return all(
        each in READS or (each in READS_WITH and given(READS_WITH[each])) for each in commands
    )


def only_makes(commands: Iterable[str]) -> bool:
    """Whether all of `commands` make something that is there without a console."""
    return {each.partition(":")[0] for each in commands} <= MAKES


def misplaced(commands: Sequence[str], given: Iterable[str]) -> str:
    """What is wrong with the parameters `given` to `commands`, and the remedy; "" if nothing is."""
    of = {parameter.name: parameter.of for parameter in PARAMETERS}
    for name in given:
        if of[name] and not {*of[name], SHOWS_ALL} & {*commands}:
            told = " and ".join(dict.fromkeys(commands))
            return f"command line: {told} does not know {name}\n  known to: {', '.join(of[name])}"
    return ""
