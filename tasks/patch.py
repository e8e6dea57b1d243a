"""patch: what was edited in `doit shell pkg:NAME` becomes a patch in the overrides.

    source + its patches of now ──┐
    source as it was edited ──────┴─▶ <workdir>/patches/NAME/NN-edited.patch ─▶ overrides.yaml

It holds the files of the source that were changed, and of the new ones those that are named: a
build that is run in the shell makes files too. Those that were removed are removed by a line of the
overrides.
"""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plan.errors import BuildError, nearest
from plan.overrides import Overrides, load_overrides, patch_folder
from plan.rewrite import set_value
from rootfs.files import replacing
from tasks.builder import Builder
from tasks.console import say, speaking
from tasks.project import project
from tasks.shell import named_build
from tasks.trees import unpacked

if TYPE_CHECKING:
    from rootfs.enter import Sandbox

BEFORE = "add-before"


def task_patch() -> dict[str, Any]:
    """make a patch of what was edited in `doit shell pkg:NAME`; new files are named: NEWFILE…"""
    return {"actions": [(speaking(_patch),)], "pos_arg": "words", "task_dep": ["seed"]}


@dataclass
class _Edits:
    """What was edited. differences: by path. removed: files of the source. new: files that are in
    no difference. left: what cannot be in one, and why.
    """

    differences: dict[str, str] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def _patch(words: list[str]) -> None:
    if not words:
        raise BuildError("no package is named", hint="doit patch pkg:NAME [NEWFILE…]")
    target, builder = words[0], named_build(words[0])
    edits = _edits(builder, [word.removeprefix("/source/") for word in words[1:]])
    for line in edits.left:
        say(f"left out: {line}")
    if edits.new:
        say("new files, left out unless they are named: " + " ".join(edits.new))
    if not edits.differences and not edits.removed:
        say(f"nothing of the source of {builder.step.name} was edited: doit shell {target}")
        project.exit_status = 1
        return
    _keep(builder, target, edits)
    say(f"go on with: doit {target}")


def _edits(builder: Builder, wanted: list[str]) -> _Edits:
    """What was edited in the build. Raises BuildError for a file in `wanted` that is not new."""
    from rootfs.edits import find, source_layers, touched
    from rootfs.resume import kept_sandbox

    name = builder.step.name
    if not (builder.folder / "sandbox.json").exists():
        hint = f"doit shell pkg:{name}"
        raise BuildError(f"nobody was in the build of {name} yet", hint=hint)
    if not builder.step.sources:
        raise BuildError(f"{name} has no source", hint="its files are those of its recipe")
    place = kept_sandbox(builder.folder)
    before, after = _patched(builder, place), source_layers(place)
    edits = _Edits()
    for path in touched(place):
        old, new, built = find(before, path), find(after, path), find(after[1:], path)
        if _content(new) is not None and _content(new) == _content(built):
            edits.left.append(f"{path}: only its mode differs, which no patch holds")
        elif old is None and new is not None and path not in wanted:
            edits.new.append(path)
        else:
            _compare(edits, path, old, new)
    for path in wanted:
        if path not in edits.differences:
            raise BuildError(f"{path!r} is no new text file", hint=nearest(path, edits.new))
    present = _overrides().tables(builder.step.phase)[name].get("before", "").splitlines()
    edits.removed = [path for path in edits.removed if _removal(path) not in present]
    return edits


def _overrides() -> Overrides:
    return load_overrides(project.data / "recipes", project.overrides)


def _removal(path: str) -> str:
    """The line that removes `path`. Busybox's patch cannot: it would leave an empty file."""
    return f"rm -f {shlex.quote(path)}"


def _compare(edits: _Edits, path: str, old: Path | None, new: Path | None) -> None:
    from rootfs.diff import unified

    before, after = _content(old), _content(new)
    if new is None and old is not None and (old.is_symlink() or not old.is_dir()):
        edits.removed.append(path)
    elif any(file and file.is_symlink() for file in (old, new)):
        edits.left.append(f"{path}: a link")
    elif b"\0" in (before or b"") + (after or b"") and before != after:
        edits.left.append(f"{path}: not a text")
    elif text := unified(path, before, after):
        edits.differences[path] = text
    elif before is None and after is not None:
        edits.left.append(f"{path}: empty")


def _content(file: Path | None) -> bytes | None:
    return file.read_bytes() if file and file.is_file() and not file.is_symlink() else None


def _patched(builder: Builder, place: Sandbox) -> list[Path]:
    """The layers of the source with the patches that the step would begin with now."""
    from rootfs.edits import source_layers
    from rootfs.enter import enter
    from rootfs.step import prepare

    step, pristine = builder.step, unpacked(project, builder.step.sources[0])
    layers = source_layers(place)
    if len(layers) > 1 and layers[-1] != pristine:
        raise BuildError(
            f"the build of {step.name} is of another source than its recipe names now",
            where=os.fspath(builder.folder),
            hint=f"doit forget pkg:{step.name}, build it, and edit it again",
        )
    patching = [command for command in step.commands if command.argv[0] == "patch"]
    if not patching:
        return [pristine]
    if builder.step_id() is None:
        hint = f"doit {step.task}"
        raise BuildError(f"the dependencies of {step.name} are not built", hint=hint)
    folder = project.workdir / "patch"
    made = prepare(step, builder.places(), folder, overlay=project.overlay, jobs=project.jobs)
    results = enter(made, patching, log=folder / "log")
    if results[-1].status != 0:
        raise BuildError(
            f"{patching[len(results) - 1].argv[-1]} does not apply",
            where=f"pkg:{step.name} ({step.phase})",
            hint=f"take it out of {project.overrides}, or mend it; log: {folder}/log",
        )
    return source_layers(made)


def _keep(builder: Builder, target: str, edits: _Edits) -> None:
    """Write the patch, and what to do with it into the overrides of the package."""
    from rootfs.edits import saved

    step, file, table = builder.step, project.overrides, _overrides().table
    key = f"{step.phase}:{step.name}"
    if target != key and not {"patches", "before", BEFORE} & {*table.get(key, {})}:
        key = step.name
    entry = table.get(key, {})
    text = file.read_bytes().decode() if file.exists() else ""
    if edits.differences:
        path = _write(step.name, "".join(edits.differences.values()))
        say(f"{path}: {_told(path, edits)}")
        text = set_value(text, (key, "patches"), [*entry.get("patches", []), path.name])
    if more := [_removal(path) for path in edits.removed]:
        before = "".join(f"{line}\n" for line in [*entry.get(BEFORE, "").splitlines(), *more])
        text = set_value(text, (key, BEFORE), before)
        say(f"{file}: {BEFORE} of {key}: {'; '.join(more)}")
    with replacing(file) as out:
        out.write(text.encode())
    saved(builder.folder)


def _told(path: Path, edits: _Edits) -> str:
    count = len(edits.differences)
    lines = path.read_bytes().count(b"\n")
    return f"{lines} lines, {count} file{'s' if count > 1 else ''}: {' '.join(edits.differences)}"


def _write(package: str, text: str) -> Path:
    """Write `text` as the next patch of `package`."""
    folder = patch_folder(project.overrides, package)
    number = _next_number(project.data / "recipes" / package / "patches", folder)
    path = folder / f"{number:02}-edited.patch"
    with replacing(path) as out:
        out.write(text.encode("utf-8", "surrogateescape"))
    return path


def _next_number(*folders: Path) -> int:
    names = [path.name for folder in folders if folder.is_dir() for path in folder.iterdir()]
    numbers = [int(found[0]) for name in names if (found := re.match(r"\d+", name))]
    return max(numbers, default=0) + 1
