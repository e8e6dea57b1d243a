"""The possible next words on a command line, for the completion of shells.

    TAB ─▶ completions/bq2.{bash,zsh} ─▶ main of WORD... CURRENT ─▶ one word per line

It must answer at once, so it loads neither doit nor the plan. File names give the packages, and
tasks/commands.py gives the tasks. So a word may be missing from the set of the run; the run then
reports that. A word that ends with one of `:=/` is not complete.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from plan.checks import as_it_is, names
from plan.model import PHASES
from plan.settings import parameters
from tasks.commands import COMMANDS, OF_DOIT, SHOWS_ALL

ROOT = Path(__file__).resolve().parent.parent
GROUPS = ("fetch", "pkg", *PHASES)
# Words that follow a task with arguments.
STEPS = ("pkg:", *(f"{phase}:" for phase in PHASES))
TARGETS = {
    "attest": ("check",),
    "bump": ("pkg:",),
    "cache": ("check", "gc"),
    "layer": ("new",),
    "log": STEPS,
    "overrides": ("apply",),
    "patch": STEPS,
    "recipe": ("new",),
    "shell": ("seed", "sysroot", "rootfs", *STEPS),
    "why": STEPS,
}
VALUES = {
    "arch": parameters.ARCHITECTURES,
    "format": parameters.FORMATS,
    "build": parameters.ARCHITECTURES,
    "loader": parameters.LOADERS,
    "in": parameters.PLACES,
    "phase": PHASES,
    "progress": parameters.PROGRESS,
    "seed": (parameters.AUTO, *parameters.SEEDS),
    "set": parameters.SETS,
}
# The file of a layer that adds to the values.
LAYERED = {
    "arch": parameters.ARCHITECTURES_FILE,
    "build": parameters.ARCHITECTURES_FILE,
    "set": parameters.SETS_FILE,
}
LISTS = ("archs", "packages", "seeds", "variations", "with")
# A list of paths: the last one is completed.
PATH_LISTS = ("layer",)
LOCAL_LAYER = re.compile(r"^layer:[ \t]*['\"]?([^'\"#\n]*)", re.MULTILINE)
PATHS = [each.name for each in parameters.PARAMETERS if each.placed is not as_it_is]


def words(
    before: Sequence[str], current: str, *, root: Path = ROOT, here: Path = ROOT
) -> list[str]:
    """The sorted words that begin with `current` and may follow `before`.

    here: the directory where relative paths start.
    """
    name, equals, value = current.partition("=")
    group, colon, _ = current.partition(":")
    if equals:
        values = _values(name, value, root, here, _layers(before, root, here))
        found: Iterable[str] = (f"{name}={each}" for each in values)
    elif colon:
        known = packages(root, _layers(before, root, here))
        found = (f"{group}:{each}" for each in known if group in GROUPS)
    elif "test" in before:
        found = _paths(current, here)
    elif task := next((word for word in before if word in TARGETS), None):
        found = (*TARGETS[task], *_parameters(before))
    else:
        commands = () if any("=" not in word for word in before) else OF_DOIT
        groups = (f"{each}:" for each in GROUPS)
        found = (*commands, *COMMANDS, *PHASES, *groups, *_parameters(before))
    return sorted({word for word in found if word.startswith(current)})


def packages(root: Path, layers: Sequence[Path] = ()) -> list[str]:
    """All packages with a recipe, in the checkout `root` and in `layers`."""
    places = (root / "plan", *layers)
    return [path.stem for place in places for path in (place / "recipes").glob("[!.]*.yaml")]


def _layers(before: Sequence[str], root: Path, here: Path) -> list[Path]:
    """The layers of the command line `before`, else of the environment, else of local.yaml."""
    given = [word.partition("=")[2] for word in before if word.startswith("layer=")]
    text, place = given[-1] if given else os.environ.get("BQ2_LAYER", ""), here
    local = root / "local.yaml"
    written = local.read_text(errors="replace") if not text and local.is_file() else ""
    if found := LOCAL_LAYER.search(written):
        text, place = found[1].strip(), root
    return [place / each for each in names(text)]


def _parameters(before: Sequence[str]) -> list[str]:
    given = {word.partition("=")[0] for word in before if "=" in word}
    named = {word.partition(":")[0] for word in before if "=" not in word}
    # Before the first task, suggest the task names, not the parameters.
    out = given if named else {*given, *COMMANDS}
    return [
        f"{each.name}="
        for each in parameters.PARAMETERS
        if not each.secret
        if each.name not in out and (not named or not each.of or {*each.of, SHOWS_ALL} & named)
    ]


def _values(name: str, value: str, root: Path, here: Path, layers: Sequence[Path]) -> Iterable[str]:
    found = [*VALUES.get(name, ())]
    done = value[: value.rfind(",") + 1]
    if name in LAYERED:
        found += parameters.named(layers, LAYERED[name])
    if name in LISTS:
        own = {
            "archs": parameters.ARCHITECTURES,
            "seeds": parameters.SEEDS,
            "variations": parameters.VARIATIONS,
        }
        values = own.get(name) or packages(root, layers)
        found += [f"{done}{each}" for each in values if each not in done.split(",")]
    if name in PATH_LISTS:
        found += [f"{done}{each}" for each in _paths(value.removeprefix(done), here)]
    elif name in PATHS:
        found += _paths(value, here)
    if _is_flag(name):
        found += ["yes", "no"]
    return found


def _is_flag(name: str) -> bool:
    try:
        return any(each.name == name and each.check("no") == "0" for each in parameters.PARAMETERS)
    except ValueError:
        return False


def _paths(begun: str, here: Path) -> list[str]:
    """The files and directories whose paths begin with `begun`, relative to `here`."""
    directory = begun[: begun.rfind("/") + 1]
    return [
        f"{directory}{path.name}/" if path.is_dir() else f"{directory}{path.name}"
        for path in (here / directory).glob("*")
        if not path.name.startswith(".")
    ]


def main() -> None:
    """Print the possible next words for the command line in the arguments."""
    for word in words(sys.argv[1:-1], sys.argv[-1], here=Path.cwd()):
        sys.stdout.buffer.write(os.fsencode(f"{word}\n"))
