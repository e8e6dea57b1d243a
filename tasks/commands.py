"""All commands as data: their modules, which of them need the lock, and which only print.

A command is registered only here: with its module (COMMANDS), its purpose (PURPOSES), and in READS,
MAKES or OF_THE_LAST if it belongs there.
Completion also reads this module, so it imports the other modules late.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from plan.model import PHASES
from plan.settings.parameters import IMAGE, PARAMETERS, WRITERS

if TYPE_CHECKING:
    from tasks.actions import DoitTask
    from tasks.engine.project import Project

# doit's own commands that make sense here. `strace` does not work for tasks, and nobody needs the
# commands that show or change doit's internal state.
OF_DOIT = ("clean", "forget", "help", "info", "list", "run")

# Command → the module that has task_<command>.
COMMANDS: Mapping[str, str] = {
    "attest": "tasks.attest",
    "bench": "tasks.check",
    "boot": "tasks.boot",
    "bump": "tasks.pins",
    "bundle": "tasks.bundle",
    "cache": "tasks.shared_cache",
    "challenge": "tasks.reproduce.challenge",
    "choose": "tasks.choose",
    "doctor": "tasks.doctor",
    "fetch": "tasks.fetch",
    "fsck": "tasks.fsck",
    "gc": "tasks.gc",
    "image": "tasks.products",
    "inspect": "tasks.inspect",
    "layer": "tasks.layer",
    "licenses": "tasks.sbom",
    "lock": "tasks.seed",
    "log": "tasks.log",
    "oci": "tasks.products",
    "outdated": "tasks.pins",
    "overrides": "tasks.overrides",
    "patch": "tasks.patch",
    "pkg": "tasks.packages",
    "plan": "tasks.show",
    "publish": "tasks.publish",
    "push": "tasks.push",
    "recipe": "tasks.recipe",
    "reference": "tasks.reference",
    "regenerate": "tasks.reproduce.regenerate",
    "report": "tasks.report.report",
    "sbom": "tasks.sbom",
    "seed": "tasks.seed",
    "settings": "tasks.show",
    "shell": "tasks.shell",
    "sign": "tasks.inspect",
    "ssh": "tasks.ssh",
    "stage": "tasks.stage",
    "status": "tasks.status",
    "sysroot": "tasks.products",
    "test": "tasks.check",
    "verify": "tasks.reproduce.verify",
    "why": "tasks.why",
}

# Purpose → its commands, in the order of `doit list` and of the table in README.md.
PURPOSES: Mapping[str, Sequence[str]] = {
    "build": (
        *("image", "sysroot", "oci", "boot", "ssh", "push", "pkg", "fetch", "seed", "stage"),
        *("regenerate", "verify", "challenge"),
    ),
    "look": ("doctor", "list", "report", "status", "why", "plan", "log", "settings"),
    "repair": (*("shell", "overrides", "patch", "forget", "clean", "choose", "fsck", "gc"),),
    "add": ("layer", "recipe"),
    "pin": ("outdated", "bump", "lock"),
    "share": ("publish", "cache", "bundle", "sbom", "licenses", "inspect", "sign", "attest"),
    "develop": ("test", "bench", "reference"),
}
# What doit's own commands do. For all others, the docstring of task_<command> says it.
DOIT_DOCS = {
    "clean": "remove what a task made; pkg:NAME: its stamp and its build directory",
    "forget": "make the next run compile pkg:NAME again, though the store has it",
    "list": "show the parts of a build with their states, and all commands; list pkg: the packages",
}
DOIT_EXAMPLES: Mapping[str, Sequence[str]] = {
    "clean": (
        "clean image               removes the image",
        "clean pkg:zlib            removes its stamp and its build directory",
    ),
    "forget": ("forget pkg:zlib           the next run compiles it again",),
    "list": (
        "list                      the parts of the build, and all commands",
        "list pkg                  the packages, by phase",
        "list sysroot-from-seed    the packages of that phase",
    ),
}

# They only show something, or must work while a build runs: they take no lock.
READS = frozenset(
    {
        *("attest", "bench", "cache", "choose", "doctor", "inspect", "layer", "licenses", "log"),
        *("outdated", "overrides", "plan", "recipe", "reference", "report", "sbom", "settings"),
        *("ssh", "status", "test", "why"),
    }
)
# Other commands, which only read if this parameter is given.
READS_WITH = {"gc": "dry"}

# These commands succeed without a console: stamps and `doit status` show their results.
# The purpose of all others is their output.
MAKES = frozenset(
    {
        *("bundle", "challenge", "fetch", "image", "oci", "pkg", "regenerate", "seed"),
        *("sysroot", "verify", *PHASES),
    }
)

# The tasks of every build, which other tasks depend on.
OF_A_BUILD = ("fetch", "image", "oci", "pkg", "plan", "seed", "sysroot")

# They give the terminal to a program.
ON_TERMINAL = frozenset({"boot", "shell"})

# They look at a build or its product. Without set= or arch= this is the last one here.
OF_THE_LAST = frozenset(
    {
        *("boot", "inspect", "licenses", "list", "log", "push", "report", "sbom", "sign"),
        *("status", "why"),
    }
)
# The other words on their command lines are no commands.
WITH_WORDS = frozenset({"attest", "list", "log", "why"})

# This command accepts all parameters, to show them.
SHOWS_ALL = "settings"


def only_reads(commands: Iterable[str], given: Callable[[str], bool]) -> bool:
    """Whether all `commands` leave the work directory unchanged; given(NAME): is NAME given?"""
    return all(
        each in READS or (each in READS_WITH and given(READS_WITH[each])) for each in commands
    )


def of_the_last(words: Iterable[str]) -> bool:
    """Whether the command line `words` names only commands that look at the last build."""
    named = _names(words)
    return bool(named) and (named[0] in WITH_WORDS or {*named} <= OF_THE_LAST)


def _names(words: Iterable[str]) -> list[str]:
    """The names on the command line `words`: of commands and tasks, or a command's arguments."""
    return [word for word in words if word[:1] != "-" and "=" not in word and word != "run"]


def only_makes(commands: Iterable[str]) -> bool:
    """Whether all of `commands` make files, so that they succeed without a console."""
    return {each.partition(":")[0] for each in commands} <= MAKES


def misplaced(commands: Sequence[str], given: Iterable[str]) -> str:
    """The error and remedy if `commands` do not know one of the parameters `given`; else ""."""
    of = {parameter.name: parameter.of for parameter in PARAMETERS}
    for name in given:
        if of[name] and not {*of[name], SHOWS_ALL} & {*commands}:
            # `run` is doit's name for what a command line without a command of doit's does.
            named = [each for each in dict.fromkeys(commands) if each != "run"]
            told = f"no command here knows {name}: {', '.join(named)}"
            return f"command line: {told}\n  known to: {', '.join(of[name])}"
    of_image = (*IMAGE, "challenge")
    names = ["image" if each in of_image else each for each in commands]
    written = [each for each in dict.fromkeys(names) if each in WRITERS]
    if "output" in given and len(written) > 1:
        told = f"output= is the file of one command, not of {' and '.join(written)}"
        return f"command line: {told}\n  give each of them alone"
    return ""


Creator = Callable[["Project"], "DoitTask | Iterator[DoitTask]"]


def creator(name: str) -> Creator:
    """The function that makes the doit tasks of the command `name`. Raises KeyError."""
    create: Creator = getattr(import_module(COMMANDS[name]), f"task_{name}")
    return create


def summary(create: Creator) -> str:
    """What a command does: the first line of its docstring."""
    return (create.__doc__ or "").partition("\n")[0]


def summaries() -> Mapping[str, str]:
    """What each command does, by its name; doit's own commands too."""
    return {name: summary(create) for name, create in creators()} | DOIT_DOCS


def examples(create: Creator) -> list[str]:
    """Command lines of a command, each without the program: the other lines of its docstring."""
    lines = (create.__doc__ or "").splitlines()[1:]
    return [line.strip() for line in lines if line.strip()]


def creators(names: Iterable[str] = COMMANDS) -> Iterator[tuple[str, Creator]]:
    """Each command of `names` with the function that makes its doit tasks."""
    for name in names:
        yield name, creator(name)


def needed(words: Iterable[str]) -> Iterable[str]:
    """The commands whose tasks the command line `words` needs: each is a module to import.

    All of them, unless `words` names only commands, with or without a task of theirs.
    """
    named = {word.partition(":")[0] for word in _names(words)}
    if not named or not named <= {*COMMANDS, *PHASES}:
        return COMMANDS
    return [name for name in COMMANDS if name in named or name in OF_A_BUILD]


def doit_tasks(project: Project, words: Iterable[str]) -> Iterator[DoitTask]:
    """The doit tasks that the command line `words` needs; each function gets `project`."""
    for name, create in creators(needed(words)):
        made = create(project)
        if isinstance(made, dict):
            yield {"basename": name, "doc": summary(create), **made}
        else:
            yield from made


def built_after(called: Sequence[str]) -> str:
    """The part of a build that `called`, which begins with a command of READS, names; or ""."""
    others = called[1:] if called and called[0] in READS else ()
    return next((name for name in others if name in {*OF_A_BUILD, *PHASES} - READS), "")
