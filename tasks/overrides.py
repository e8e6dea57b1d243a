"""overrides: what this work directory changes of the recipes.

doit overrides          the difference that <workdir>/overrides.yaml makes, package by package
doit overrides apply    writes it into the recipes, and moves its patches to them

Nothing is written before it has been tried on a copy, and the copy's plan is the plan of now.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from plan import toolchain
from plan.differences import differences
from plan.errors import BuildError, nearest
from plan.overrides import Overrides, load_overrides
from plan.recipes import KEYS
from plan.writeback import WriteBack, written_back
from plan.yamlfile import Table
from plan.yamltext import item_lines
from rootfs.files import fresh_folder, remove_tree, replacing
from tasks.console import say, speaking
from tasks.project import project

Lines = tuple[str, ...]


def task_overrides() -> dict[str, Any]:
    """show what overrides.yaml changes of the recipes; `apply` writes it into them"""
    return {"actions": [(speaking(_overrides),)], "pos_arg": "words"}


def _overrides(words: list[str]) -> None:
    if words not in ([], ["apply"]):
        hint = nearest(words[0], ["apply"])
        raise BuildError(f"overrides cannot do {' '.join(words)!r}", hint=hint)
    overrides = load_overrides(project.data / "recipes", project.overrides)
    if not overrides.table:
        say("no overrides")
    elif words:
        project.lock.take("doit overrides apply")
        _apply(overrides)
    else:
        _show(overrides)


# --- show --------------------------------------------------------------------------------------


def _show(overrides: Overrides) -> None:
    """Each difference once, below the packages that it is one of."""
    by_difference: dict[Lines, list[str]] = {}
    found, every = _differences(overrides)
    for name in dict.fromkeys(name for _, name in found):
        phases = {phase: lines for (phase, each), lines in found.items() if each == name}
        if len({*phases.values()}) == 1 and len(phases) == _built_in(name):
            phases = {"pkg": next(iter(phases.values()))}
        for phase, lines in phases.items():
            by_difference.setdefault(lines, []).append(f"{phase}:{name}")
    for phase, (count, lines) in every.items():
        by_difference.setdefault(lines, []).append(f"{phase}:* ({count} packages)")
    for lines, targets in by_difference.items():
        say(f"{', '.join(targets)}\n" + "\n".join(f"  {line}" for line in lines))
    for key in overrides.table:
        phase, _, name = key.rpartition(":")
        if not (phase in every if name == "*" else any(_named(key, *each) for each in found)):
            say(f"{key}\n  changes nothing of the set {project.settings.set}")


def _differences(
    overrides: Overrides,
) -> tuple[dict[tuple[str, str], Lines], dict[str, tuple[int, Lines]]]:
    """The lines of each package in each phase, where there are any; those that `PHASE:*` gives are
    apart, by phase, with the number of packages that have them.
    """
    found, every = {}, {}
    for phase, steps in project.plan.phases.items():
        tables, patches = overrides.tables(phase), overrides.patches(phase)
        nothing = Table(overrides.file.name, 1)
        general = overrides.table.get(f"{phase}:*", nothing)
        shared, count = _lines(nothing, general, []), 0
        for name in steps:
            added = [path.name for path in patches.get(name, [])]
            lines = _lines(overrides.recipes[name], tables[name], added)
            if own := tuple(line for line in lines if line not in shared):
                found[phase, name] = own
            count += len(own) < len(lines)
        if count:
            every[phase] = (count, shared)
    return found, every


def _lines(before: Table, after: Table, patches: list[str]) -> Lines:
    """What differs between two tables of a recipe; `patches` are those that are added."""
    shown = differences(_comparable(before, []), _comparable(after, patches))
    return tuple(line for each in shown for line in each.lines(each.key))


def _comparable(table: Table, patches: list[str]) -> dict[str, Any]:
    """The values of a recipe, a list as a line for each item; of the environment, all there is."""
    values = {**table, "patches": patches}
    for key, value in values.items():
        if isinstance(value, list):
            lines = (line for item in value for line in item_lines(item, 0))
            values[key] = "".join(line.removeprefix("- ") for line in lines).rstrip("\n")
    known = toolchain.environment(project.plan.machines, toolchain.OWN)
    ordered = {key: values.get(key, "") for key in (*KEYS, "patches")}
    return ordered | {"environment": known | table.get("environment", {})}


def _built_in(name: str) -> int:
    """In how many phases the package is built."""
    return sum(name in steps for steps in project.plan.phases.values())


def _named(key: str, phase: str, name: str) -> bool:
    return key in (name, f"{phase}:{name}")


# --- apply -------------------------------------------------------------------------------------


def _apply(overrides: Overrides) -> None:
    change = written_back(overrides)
    _try(overrides, change)
    _write(change, overrides.folder)
    for path in change.patches:
        path.unlink()
    if change.left:
        _write_file(overrides.file, change.rest.encode())
    else:
        overrides.file.unlink()
    shown = f"{project.data.name}/{overrides.folder.name}"
    for file in change.texts:
        say(f"{shown}/{file}: {', '.join(change.keys[file])}")
    for file in change.patches.values():
        say(f"{shown}/{file}")
    for key in change.left:
        say(f"{key} stays in {overrides.file}: a recipe is the same in every phase")
    say(f"the plan is as before, digest {project.plan.digest}")


def _try(overrides: Overrides, change: WriteBack) -> None:
    """Make the plan of copies of all that is to change. Raises BuildError if it is another one."""
    trial = fresh_folder(project.workdir / "apply")
    try:
        ignored = shutil.ignore_patterns("*.py", "__pycache__", "seeds")
        shutil.copytree(project.data, trial / project.data.name, ignore=ignored)
        _write(change, trial / project.data.name / "recipes")
        for path in overrides.files[1:]:
            target = trial / path.relative_to(project.workdir)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        _write_file(trial / overrides.file.name, change.rest.encode())
        plan = project.planned(trial / project.data.name, trial / overrides.file.name)
    finally:
        remove_tree(trial)
    if plan.digest != project.plan.digest:
        hint = "nothing was written; apply them by hand, one after the other"
        raise BuildError("the recipes would give another plan than the overrides", hint=hint)


def _write(change: WriteBack, recipes: Path) -> None:
    for source, file in change.patches.items():
        _write_file(recipes / file, source.read_bytes())
    for file, text in change.texts.items():
        _write_file(recipes / file, text.encode())


def _write_file(path: Path, content: bytes) -> None:
    with replacing(path) as file:
        file.write(content)
