"""The pages of `help`: of this project, and of one command.

    COMMANDS ──docstrings of task_<command>──▶ what it does, examples ─┐
    PARAMETERS ──of=───────────────────────────▶ its parameters ───────┴─▶ help NAME

They need no plan, so that a broken recipe or parameter hides no help.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from plan.settings.origins import variable
from plan.settings.parameters import PARAMETERS
from plan.typed import program, typed
from plan.version import VERSION
from tasks.commands import COMMANDS, DOIT_DOCS, DOIT_EXAMPLES, creator, examples, summary
from tasks.console.table import table

BY_NAME = {each.name: each for each in PARAMETERS}
OF_ALL = [each.name for each in PARAMETERS if not each.of]
FIRST = {
    "doctor": "checks this machine, and says what it lacks",
    "image set=base": "builds the small system: minutes",
    "boot run=about": "runs a command in the system that was built last",
    "status": "says what is built, running or failed",
    "list": "shows the parts of a build, and all commands",
}
# doit's own words that `list` does not show: what each does, and examples.
OF_DOIT = {
    "run": (
        "build the named parts, and run the named commands; the word can be left out",
        ("run image                 the same as: image", "run pkg:zlib sysroot      both"),
    ),
    "info": (
        "show what doit knows of one part of a build: its state, and what it needs",
        ("info pkg:zlib", "why pkg:zlib              says more: which input changed"),
    ),
    "task": (
        "a task is a command, or a part of a build: pkg:zlib, fetch, image",
        ("list                      shows them", "help pkg:zlib             explains one of them"),
    ),
}


def project_page() -> Iterator[str]:
    """What this project is, the first commands, and where to read on."""
    yield f"bootstrap-qcow2 {VERSION} builds a small Linux system from upstream source:"
    yield "a reproducible tarball, and a QCOW2 image that boots."
    yield ""
    width = max(len(f"{program()} {words}") for words in FIRST)
    for words, purpose in FIRST.items():
        yield f"  {f'{program()} {words}':<{width}}   {purpose}"
    yield ""
    yield f"{program()} image, without set=base, builds the full system: 90 minutes on two cores."
    yield "Ctrl-C ends a build at any time. The next run continues: finished work is kept."
    yield ""
    yield f"{program()} help NAME explains a command or a parameter. README.md explains"
    yield "the project; docs/tutorial.md walks through a build, a failure and a repair."


def command_page(name: str) -> Iterator[str]:
    """What the command `name` does, its own parameters, and examples. Raises KeyError."""
    about, lines = OF_DOIT.get(name, (DOIT_DOCS.get(name), DOIT_EXAMPLES.get(name)))
    if not about or not lines:
        create = creator(name)
        about, lines = summary(create), examples(create)
    yield f"{program()} {name}: {about}"
    own = [each for each in PARAMETERS if name in each.of]
    if own:
        yield ""
        yield "parameters (name=value):"
        for each in own:
            yield f"  {each.name:<12} {each.help}"
    yield ""
    yield "examples:"
    for example in lines:
        yield f"  {program()} {example}"
    yield ""
    if name in BY_NAME:
        yield "There is also a parameter of this name:"
        yield ""
        yield from parameter_page(name)
        yield ""
    others = f"{program()} settings explains the other parameters: {', '.join(OF_ALL)}."
    yield from textwrap.wrap(others, 79)


def parameter_page(name: str) -> Iterator[str]:
    """What the parameter `name` means, and where it is given. Raises KeyError."""
    each = BY_NAME[name]
    yield from table([(f"{name}=", each.help)])
    of = ", ".join(each.of) or "all commands"
    given = [f"{name}=VALUE on the command line"] if not each.secret else []
    if not each.once:
        given.append(f"{variable(name)}, or {name}: in local.yaml")
    default = each.default_in_words() or "none"
    rows = [("takes", each.takes()), ("default", default), ("read by", of)]
    rows.append(("given as", ", ".join(given)))
    yield from table(rows, indent="  ")


def task_page(name: str, about: str) -> Iterator[str]:
    """The page of one task, for example pkg:zlib. about: its description."""
    yield f"{typed(name)}: {' '.join(about.split())}"
    group = name.partition(":")[0]
    if group in COMMANDS:
        yield f"{program()} help {group} shows what can be done with it"
    else:
        yield f"{program()} list {group} shows its packages"
