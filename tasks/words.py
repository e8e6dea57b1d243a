"""The words that can stand next on a command line, for the shells' completion.

    TAB ─▶ completions/bq2.{bash,zsh} ─▶ python3 -m tasks.words WORD... CURRENT ─▶ a word a line

It has to answer while a person waits, so neither doit nor the plan is loaded: the names of the
files tell the packages, those of dodo.py the tasks. What is offered may therefore be missing in
the set of the run, which then says so. A word that ends with one of `:=/` is to be gone on with.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from plan import parameters
from plan.model import PHASES
from tasks.commands import OF_DOIT, SHOWS_ALL

ROOT = Path(__file__).resolve().parent.parent
GROUPS = ("fetch", "pkg", *PHASES)
# What stands after a task that takes words of its own.
STEPS = ("pkg:", *(f"{phase}:" for phase in PHASES))
TARGETS = {
    "bump": ("pkg:",),
    "log": STEPS,
    "overrides": ("apply",),
    "patch": STEPS,
    "shell": ("seed", "sysroot", "rootfs", *STEPS),
    "why": STEPS,
}
VALUES = {
    "arch": parameters.ARCHITECTURES,
    "in": parameters.PLACES,
    "phase": PHASES,
    "progress": parameters.PROGRESS,
    "seed": ("auto", *parameters.SEEDS),
    "set": parameters.SETS,
}
LISTS = ("packages", "seeds", "variations", "with")
PATHS = ("image", "key", "output", "seed", "seed_tarball", "workdir")


def words(before: Sequence[str], current: str, *, root: Path = ROOT) -> list[str]:
    """The sorted words that begin with `current` and can stand after `before`."""
    name, equals, value = current.partition("=")
    group, colon, _ = current.partition(":")
    if equals:
        found: Iterable[str] = (f"{name}={each}" for each in _values(name, value, root))
    elif colon:
        found = (f"{group}:{each}" for each in packages(root) if group in GROUPS)
    elif "test" in before:
        found = _paths(current, root)
    elif task := next((word for word in before if word in TARGETS), None):
        found = (*TARGETS[task], *_parameters(before, root))
    else:
        commands = () if any("=" not in word for word in before) else OF_DOIT
        groups = (f"{each}:" for each in GROUPS)
        found = (*commands, *tasks(root), *PHASES, *groups, *_parameters(before, root))
    return sorted({word for word in found if word.startswith(current)})


def packages(root: Path) -> list[str]:
    """All packages that have a recipe."""
    return [path.stem for path in (root / "plan" / "recipes").glob("*.yaml")]


def tasks(root: Path) -> list[str]:
    """The tasks that dodo.py has."""
    return re.findall(r'"task_(\w+)"', (root / "dodo.py").read_text())


def _parameters(before: Sequence[str], root: Path) -> list[str]:
    given = {word.partition("=")[0] for word in before if "=" in word}
    named = {word.partition(":")[0] for word in before if "=" not in word}
    # Before anything is named, what is called as a task is, is more likely to be that.
    out = given if named else {*given, *tasks(root)}
    return [
        f"{each.name}="
        for each in parameters.PARAMETERS
        if each.name not in out and (not named or not each.of or {*each.of, SHOWS_ALL} & named)
    ]


def _values(name: str, value: str, root: Path) -> Iterable[str]:
    found = [*VALUES.get(name, ())]
    if name in LISTS:
        done = value[: value.rfind(",") + 1]
        own = {"seeds": parameters.SEEDS, "variations": parameters.VARIATIONS}
        known = own.get(name) or packages(root)
        found += [f"{done}{each}" for each in known if each not in done.split(",")]
    if name in PATHS:
        found += _paths(value, root)
    if _is_flag(name):
        found += ["yes", "no"]
    return found


def _is_flag(name: str) -> bool:
    try:
        return any(each.name == name and each.check("no") == "0" for each in parameters.PARAMETERS)
    except ValueError:
        return False


def _paths(begun: str, root: Path) -> list[str]:
    """The files and folders whose paths begin with `begun`."""
    folder = begun[: begun.rfind("/") + 1]
    return [
        f"{folder}{path.name}/" if path.is_dir() else f"{folder}{path.name}"
        for path in (root / folder).glob("*")
        if not path.name.startswith(".")
    ]


if __name__ == "__main__":
    for word in words(sys.argv[1:-1], sys.argv[-1]):
        print(word)
