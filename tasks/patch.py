"""patch: turns edits made in `doit shell pkg:NAME` into a patch in the overrides.

    source with its current patches ──┐
    edited source ────────────────────┴─▶ <workdir>/patches/NAME/NN-edited.patch ─▶ overrides.yaml

The patch has the changed source files. New files are only added if they are named, because a build
in the shell makes files too. The overrides get a line that removes the removed files.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from plan.errors import BuildError, nearest
from plan.outputs import write_file
from plan.reading.overrides import Overrides, load_overrides, patch_directory
from plan.typed import typed
from plan.writing.rewrite import set_value
from tasks.actions import DoitTask, speaking
from tasks.console.console import say
from tasks.engine.builder import Builder
from tasks.engine.project import Project
from tasks.engine.trees import unpacked
from tasks.shell import named_build

if TYPE_CHECKING:
    from rootfs.sandbox.enter import Sandbox

BEFORE = "add-before"


def task_patch(project: Project) -> DoitTask:
    """turn edits in the shell of pkg:NAME into a patch; NEWFILE… adds files

    patch pkg:zlib            after edits below /source in: shell pkg:zlib
    patch pkg:zlib new.c      new.c too
    """
    return {"actions": [(speaking(_patch), [project])], "pos_arg": "words", "task_dep": ["seed"]}


@dataclass
class _Edits:
    """differences: by path. removed: removed source files. new: new files that are in no
    difference. left: files that a patch cannot contain, and why.
    """

    differences: dict[str, str] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def before_patch(project: Project, words: Sequence[str]) -> None:
    """Raise BuildError if no build is named, or it was not built yet."""
    if not words:
        raise BuildError("no package is named", hint=typed("patch pkg:NAME [NEWFILE…]"))
    _require_build(named_build(project, words[0]))


def _require_build(builder: Builder) -> None:
    if not (builder.directory / "sandbox.json").exists():
        name = builder.step.name
        hint = typed(f"shell pkg:{name}")
        raise BuildError(f"there is no build of {name} in this work directory yet", hint=hint)


def _patch(project: Project, words: list[str]) -> None:
    target, builder = words[0], named_build(project, words[0])
    edits = _edits(project, builder, [word.removeprefix("/source/") for word in words[1:]])
    for line in edits.left:
        say(f"not in the patch: {line}")
    if edits.new:
        say("new files, not in the patch unless you name them: " + " ".join(edits.new))
    if not edits.differences and not edits.removed:
        say(f"no source file of {builder.step.name} was edited; they are in /source of its shell")
        say(f"  {typed(f'shell {target}')}")
        project.exit_status = 1
        return
    _keep(project, builder, target, edits)
    say(f"continue with: {typed(target)}")


def _edits(project: Project, builder: Builder, wanted: list[str]) -> _Edits:
    """The edits in the build. Raises BuildError if a file in `wanted` is not new."""
    from rootfs.sandbox.edits import find, source_layers, touched
    from rootfs.sandbox.resume import kept_sandbox

    name = builder.step.name
    if not builder.step.sources:
        raise BuildError(f"{name} has no source", hint="edit the files of its recipe")
    place = kept_sandbox(builder.directory)
    before, after = _patched(project, builder, place), source_layers(place)
    edits = _Edits()
    for path in touched(place):
        old, new, built = find(before, path), find(after, path), find(after[1:], path)
        if _content(new) is not None and _content(new) == _content(built):
            edits.left.append(f"{path}: only its mode differs, and a patch has no modes")
        elif old is None and new is not None and path not in wanted:
            edits.new.append(path)
        else:
            _compare(edits, path, old, new)
    for path in wanted:
        if path not in edits.differences:
            raise BuildError(f"{path!r} is not a new text file", hint=nearest(path, edits.new))
    present = _overrides(project).tables(builder.step.phase)[name].get("before", "").splitlines()
    edits.removed = [path for path in edits.removed if _removal(path) not in present]
    return edits


def _overrides(project: Project) -> Overrides:
    return load_overrides(project.data, project.overrides)


def _removal(path: str) -> str:
    """The line that removes `path`. Busybox's patch cannot: it would leave an empty file."""
    return f"rm -f {shlex.quote(path)}"


def _compare(edits: _Edits, path: str, old: Path | None, new: Path | None) -> None:
    from rootfs.compare.unified_diff import unified

    before, after = _content(old), _content(new)
    if new is None and old is not None and (old.is_symlink() or not old.is_dir()):
        edits.removed.append(path)
    elif any(file and file.is_symlink() for file in (old, new)):
        edits.left.append(f"{path}: a link")
    elif b"\0" in (before or b"") + (after or b"") and before != after:
        edits.left.append(f"{path}: not a text file")
    elif text := unified(path, before, after):
        edits.differences[path] = text
    elif before is None and after is not None:
        edits.left.append(f"{path}: empty")


def _content(file: Path | None) -> bytes | None:
    return file.read_bytes() if file and file.is_file() and not file.is_symlink() else None


def _patched(project: Project, builder: Builder, place: Sandbox) -> list[Path]:
    """The layers of the source, with the patches that the step would apply now."""
    from rootfs.sandbox.edits import source_layers
    from rootfs.sandbox.step import apply_patches, prepare

    step, pristine = builder.step, unpacked(project, builder.step.sources[0])
    layers = source_layers(place)
    if len(layers) > 1 and layers[-1] != pristine:
        raise BuildError(
            f"the build of {step.name} has another source than its recipe now",
            where=os.fspath(builder.directory),
            hint=f"{typed(f'forget pkg:{step.name}')}, build it, then edit it again",
        )
    if not any(command.argv[0] == "patch" for command in step.commands):
        return [pristine]
    if builder.step_id() is None:
        hint = typed(step.task)
        raise BuildError(f"the dependencies of {step.name} are not built", hint=hint)
    directory = project.workdir / "patch"
    made = prepare(step, builder.places(), directory, overlay=project.overlay, jobs=project.jobs)
    if wrong := apply_patches(step, made, directory / "log"):
        raise BuildError(
            f"{wrong} does not apply",
            where=f"pkg:{step.name} ({step.phase})",
            hint=f"remove it from {project.overrides}, or fix it; log: {directory}/log",
        )
    return source_layers(made)


def _keep(project: Project, builder: Builder, target: str, edits: _Edits) -> None:
    """Write the patch, and add it to the overrides of the package."""
    from rootfs.sandbox.edits import saved

    step, file, table = builder.step, project.overrides, _overrides(project).table
    key = f"{step.phase}:{step.name}"
    if target != key and not {"patches", "before", BEFORE} & {*table.get(key, {})}:
        key = step.name
    entry = table.get(key, {})
    text = file.read_bytes().decode() if file.exists() else ""
    if edits.differences:
        path = _write(project, step.name, "".join(edits.differences.values()))
        say(f"{path}: {_told(path, edits)}")
        text = set_value(text, (key, "patches"), [*entry.get("patches", []), path.name])
    if more := [_removal(path) for path in edits.removed]:
        before = "".join(f"{line}\n" for line in [*entry.get(BEFORE, "").splitlines(), *more])
        text = set_value(text, (key, BEFORE), before)
        say(f"{file}: {BEFORE} of {key}: {'; '.join(more)}")
    write_file(file, text)
    saved(builder.directory)


def _told(path: Path, edits: _Edits) -> str:
    count = len(edits.differences)
    lines = path.read_bytes().count(b"\n")
    return f"{lines} lines, {count} file{'s' if count > 1 else ''}: {' '.join(edits.differences)}"


def _write(project: Project, package: str, text: str) -> Path:
    """Write `text` as the next patch of `package`."""
    directory = patch_directory(project.overrides, package)
    number = _next_number(project.data.files_of(package) / "patches", directory)
    path = directory / f"{number:02}-edited.patch"
    write_file(path, text.encode("utf-8", "surrogateescape"))
    return path


def _next_number(*directories: Path) -> int:
    names = [
        path.name for directory in directories if directory.is_dir() for path in directory.iterdir()
    ]
    numbers = [int(found[0]) for name in names if (found := re.match(r"\d+", name))]
    return max(numbers, default=0) + 1
