"""overrides: shows the changes that this work directory makes to the recipes.

doit overrides          shows the changes of <workdir>/overrides.yaml, package by package
doit overrides apply    writes them into the recipes, and moves the patches there

`apply` first changes a copy, and writes only if the copy's plan equals the current plan.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from plan.compiling import toolchain
from plan.errors import BuildError, nearest
from plan.outputs import write_file
from plan.reading.data import FOLDERS, Data, load_data
from plan.reading.overrides import Overrides, load_overrides
from plan.reading.recipes import KEYS
from plan.steps.json_diff import differences
from plan.steps.planner import variants
from plan.typed import typed
from plan.writing.writeback import WriteBack, written_back
from plan.writing.yamltext import item_lines
from plan.yamlfile import Table
from rootfs.archives.files import fresh_directory, remove_tree
from tasks.actions import DoitTask, speaking
from tasks.console.console import say
from tasks.engine.project import Project

Lines = tuple[str, ...]


def task_overrides(project: Project) -> DoitTask:
    """show what overrides.yaml changes; `apply` writes it into the recipes

    overrides                 shows the changes, package by package
    overrides apply           writes them into the recipes
    """
    return {"actions": [(speaking(_overrides), [project])], "pos_arg": "words"}


def _overrides(project: Project, words: list[str]) -> None:
    if words not in ([], ["apply"]):
        hint = nearest(words[0], ["apply"])
        raise BuildError(f"overrides cannot do {' '.join(words)!r}", hint=hint)
    overrides = load_overrides(project.data, project.overrides)
    if not overrides.table:
        say("no overrides")
    elif words:
        project.lock.take(typed("overrides apply"))
        _apply(project, overrides)
    else:
        _show(project, overrides)


# --- show --------------------------------------------------------------------------------------


def _show(project: Project, overrides: Overrides) -> None:
    """Show each difference once, below the names of its packages."""
    by_difference: dict[Lines, list[str]] = {}
    found, every = _differences(project, overrides)
    for name in dict.fromkeys(name for _, name in found):
        phases = {phase: lines for (phase, each), lines in found.items() if each == name}
        if len({*phases.values()}) == 1 and len(phases) == _built_in(project, name):
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
            say(f"{key}\n  changes nothing in the set {project.settings.set}")


def _differences(
    project: Project,
    overrides: Overrides,
) -> tuple[dict[tuple[str, str], Lines], dict[str, tuple[int, Lines]]]:
    """The changed lines of each package in each phase. The differences from `PHASE:*` are separate:
    by phase, with the number of packages that have them.
    """
    found, every, plan = {}, {}, project.plan
    nothing = Table(overrides.file.name, 1)
    none = replace(overrides, table=nothing)
    for phase, steps in plan.phases.items():
        own = variants(phase, plan.set.phase, plan.machines, plan.app)
        before, tables = none.tables(phase, *own), overrides.tables(phase, *own)
        patches = overrides.patches(phase)
        general = overrides.table.get(f"{phase}:*", nothing)
        shared, count = _lines(project, nothing, general, []), 0
        for name in steps:
            added = [path.name for path in patches.get(name, [])]
            lines = _lines(project, before[name], tables[name], added)
            if rest := tuple(line for line in lines if line not in shared):
                found[phase, name] = rest
            count += len(rest) < len(lines)
        if count:
            every[phase] = (count, shared)
    return found, every


def _lines(project: Project, before: Table, after: Table, patches: list[str]) -> Lines:
    """The differences between two tables of a recipe; `patches` are the added patches."""
    shown = differences(_comparable(project, before, []), _comparable(project, after, patches))
    return tuple(line for each in shown for line in each.lines(each.key))


def _comparable(project: Project, table: Table, patches: list[str]) -> dict[str, Any]:
    """The recipe's values: a list as one line per item; `environment` with all variables."""
    values = {**table, "patches": patches}
    for key, value in values.items():
        if isinstance(value, list):
            lines = (line for item in value for line in item_lines(item, 0))
            values[key] = "".join(line.removeprefix("- ") for line in lines).rstrip("\n")
    plan = project.plan
    known = toolchain.environment(plan.machines, toolchain.own_compiler(plan.recipes))
    ordered = {key: values.get(key, "") for key in (*KEYS, "patches")}
    return ordered | {"environment": known | table.get("environment", {})}


def _built_in(project: Project, name: str) -> int:
    """The number of phases that build the package."""
    return sum(name in steps for steps in project.plan.phases.values())


def _named(key: str, phase: str, name: str) -> bool:
    return key in (name, f"{phase}:{name}")


# --- apply -------------------------------------------------------------------------------------


def _apply(project: Project, overrides: Overrides) -> None:
    change = written_back(overrides)
    _try(project, overrides, change)
    changed = (*change.texts, *change.patches, overrides.file)
    before = {file: file.read_bytes() for file in changed}
    try:
        _write(change)
        for path in change.patches:
            path.unlink()
        if change.left:
            write_file(overrides.file, change.rest.encode())
        else:
            overrides.file.unlink()
    except BaseException:
        # Half of it would count twice: in the recipes, and in the overrides.
        for file, content in before.items():
            with contextlib.suppress(OSError):
                write_file(file, content)
        for file in change.patches.values():
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)
        raise
    for file in change.texts:
        say(f"{project.data.shown(file)}: {', '.join(change.keys[file])}")
    for file in change.patches.values():
        say(project.data.shown(file))
    for key in change.left:
        say(f"{key} stays in {overrides.file}: a recipe is the same in every phase")
    say(f"the plan is unchanged, digest {project.plan.digest}")


def _try(project: Project, overrides: Overrides, change: WriteBack) -> None:
    """Plan with copies of all changed files. Raises BuildError if the plan differs."""
    trial = fresh_directory(project.workdir / "apply")
    try:
        data, places = _copied(overrides, trial)
        _write(change, places)
        for path in overrides.files[1:]:
            target = trial / path.relative_to(project.workdir)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        write_file(trial / overrides.file.name, change.rest.encode())
        plan = project.planned(data, trial / overrides.file.name)
    finally:
        remove_tree(trial)
    if plan.digest != project.plan.digest:
        hint = "nothing was written; apply them by hand, one after the other"
        raise BuildError("with the overrides in the recipes, the plan would differ", hint=hint)


def _copied(overrides: Overrides, trial: Path) -> tuple[Data, dict[Path, Path]]:
    """A copy of the data of `overrides` below `trial`, and the copy of each of its directories."""
    data = overrides.data
    ignored = shutil.ignore_patterns("*.py", "__pycache__", "seeds")
    places = {data.own: trial / data.own.name}
    app = data.app.path if data.app else None
    layers = [layer for layer in data.layers if layer.path != app]
    places |= {layer.path: trial / "layers" / layer.name for layer in layers}
    shutil.copytree(data.own, places[data.own], ignore=ignored)
    for layer in layers:
        # Only what is read: anything may be beside it, also this copy.
        for name, _ in layer.content:
            target = places[layer.path] / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(layer.path / name, target)
    _link_folders(overrides, trial)
    section = data.app.checkout if data.app else None
    copies = [places[layer.path] for layer in layers]
    return load_data(places[data.own], copies, app, section), places


def _link_folders(overrides: Overrides, trial: Path) -> None:
    """Let the copies in `trial` find the folders that are sources: as a bundle has them."""
    for name, table in overrides.recipes.items():
        for entry in table.get("sources", []):
            if isinstance(entry, Table) and "folder" in entry:
                (trial / FOLDERS).mkdir(exist_ok=True)
                (trial / FOLDERS / name).symlink_to(overrides.data.folder(name, entry["folder"]))


def _write(change: WriteBack, places: Mapping[Path, Path] = MappingProxyType({})) -> None:
    """Write the changed files; `places`: the directories that other ones stand for."""

    def target(file: Path) -> Path:
        found = (each for each in places if file.is_relative_to(each))
        place = next(found, None)
        return places[place] / file.relative_to(place) if place else file

    for source, file in change.patches.items():
        write_file(target(file), source.read_bytes())
    for file, text in change.texts.items():
        write_file(target(file), text)
