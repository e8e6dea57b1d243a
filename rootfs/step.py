"""Runs one step: everything is laid out at fixed paths, the commands run, DESTDIR is packed.

build root ─┐
dependencies ─▶ sandbox ──commands──▶ /dest ──tidy, pack──▶ tar, sha256, tree
source ─────┘

<folder>/log            what the commands printed
<folder>/sandbox.json   the sandbox, to be entered again by hand
<folder>/new-dest       DESTDIR
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from plan.errors import BuildError
from plan.model import Command, Step
from rootfs.compose import Composer, bound, scratch
from rootfs.enter import Result, Sandbox, enter
from rootfs.files import as_fetched, fresh_folder
from rootfs.jobserver import PLACE, JobServer
from rootfs.pack import Hashing, finish, pack, stamp_times, tidy

FIXED = ("proc", "dev", "tmp", "source", "build", "dest", "sysroot", "recipe", "input", "sys")


@dataclass(frozen=True)
class Inputs:
    """Where a step's inputs lie on this machine. Trees are unpacked folders."""

    build_root: Sequence[Path]
    """The tree of the seed, or those of the tools, bottom first."""
    sysroot: Sequence[Path]
    """The trees of the dependencies, bottom first."""
    source: Path | None
    recipe: Mapping[str, Path]
    """The recipe's files: what appears as /recipe/<path>."""
    files: Mapping[str, Path]
    """What appears as /input/<name>."""


@dataclass(frozen=True)
class Packed:
    """The packed DESTDIR: a synced temporary file, its sha256 and size, and the tree it is of."""

    file: Path
    sha256: str
    size: int
    tree: Path


class StepFailed(BuildError):
    """A command of a step ended with another status than 0; `log` is what it printed."""

    def __init__(self, step: Step, command: Command, result: Result, log: Path) -> None:
        super().__init__(
            f"{command.argv[0]} failed with status {result.status}",
            where=f"pkg:{step.name} ({step.phase})",
            hint=f"log: {log}",
        )
        self.step, self.command, self.result, self.log = step, command, result, log


def prepare(step: Step, inputs: Inputs, folder: Path, *, overlay: bool, jobs: JobServer) -> Sandbox:
    """Lay out the sandbox of `step` in `folder`, empty of any earlier attempt."""
    composer = Composer(fresh_folder(folder), overlay)
    # A build can make set-user-id files in it: they are to be no door for other users.
    folder.chmod(0o700)
    skeleton = _skeleton(step, inputs, folder / "skeleton")
    mounts = [
        scratch("/tmp"),
        composer.writable("/source", inputs.source),
        composer.writable("/build", None),
        composer.writable("/dest", None),
        composer.readonly("/sysroot", inputs.sysroot),
    ]
    if inputs.recipe:
        mounts.append(bound("/recipe", _copied(inputs.recipe, folder / "recipe")))
    for name, path in sorted(inputs.files.items()):
        mounts.append(bound(f"/input/{name}", as_fetched(path, folder / "input" / name)))
    mounts.append(bound(PLACE, jobs.path, writable=True))
    root = composer.readonly("/", [*inputs.build_root, skeleton])
    return Sandbox(folder, root, mounts, dict(step.environment) | jobs.environment())


def run_commands(
    step: Step, place: Sandbox, first: int = 0, *, seconds: float | None = None
) -> list[Result]:
    """Run the step's commands from the one numbered `first` on.

    Raises StepFailed if one fails, and BuildError if they take longer than `seconds`.
    """
    log = place.folder / "log"
    commands = step.commands[first:]
    results = enter(place, commands, log=log, seconds=seconds)
    if results and results[-1].status != 0:
        raise StepFailed(step, commands[len(results) - 1], results[-1], log)
    return results


def pack_result(step: Step, place: Sandbox, into: Path) -> Packed:
    """Bring DESTDIR into its final form and pack it into a temporary file in the folder `into`.

    Raises BuildError if the package installed something that no package may.
    """
    tree = place.folder / "new-dest"
    tidy(tree, remove=step.remove)
    return pack_tree(tree, step.name, into)


def pack_tree(tree: Path, name: str, into: Path) -> Packed:
    """Pack `tree`, of the package `name`, into a temporary file in the folder `into`."""
    handle, temporary = tempfile.mkstemp(prefix=f".{os.getpid()}.{name}.", dir=into)
    try:
        with os.fdopen(handle, "wb") as file:
            out = Hashing(file)
            pack([tree], out)
            finish(out)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return Packed(Path(temporary), out.sha256.hexdigest(), out.size, tree)


def _skeleton(step: Step, inputs: Inputs, folder: Path) -> Path:
    """The layer over the build root: mount points, and the step's additions."""
    for name in FIXED:
        (folder / name).mkdir(parents=True)
    for name in inputs.files:
        (folder / "input" / name).touch()
    (folder / PLACE.lstrip("/")).touch()
    for addition in step.additions:
        path = folder / addition.path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if addition.link:
            path.symlink_to(addition.text)
        else:
            path.write_text(addition.text, encoding="utf-8")
    _settle(folder)
    return folder


def _copied(files: Mapping[str, Path], folder: Path) -> Path:
    """The recipe's files as the step names them: by path and content, whatever their mode."""
    folder.mkdir()
    for name, path in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    _settle(folder)
    return folder


def _settle(tree: Path) -> None:
    """Modes and times that say nothing of the user, of the umask, or of the hour."""
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)
    stamp_times(tree)
