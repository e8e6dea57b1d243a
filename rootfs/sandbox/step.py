"""Runs one step: mounts its inputs at fixed paths, runs the commands, packs DESTDIR.

build root ─┐
dependencies ─▶ sandbox ──commands──▶ /dest ──tidy, pack──▶ tar, sha256, tree
source ─────┘

<directory>/log            the output of the commands
<directory>/sandbox.json   the sandbox, for `doit shell` and for resuming
<directory>/new-dest       DESTDIR
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
from rootfs.archives.files import as_fetched, fresh_directory
from rootfs.archives.pack import Hashing, finish, pack, stamp_times, tidy
from rootfs.sandbox.compose import Composer, bound, scratch
from rootfs.sandbox.enter import Result, Sandbox, enter
from rootfs.sandbox.jobserver import PLACE, JobServer

FIXED = ("proc", "dev", "tmp", "source", "build", "dest", "sysroot", "recipe", "input", "sys")


@dataclass(frozen=True)
class Inputs:
    """The host paths of a step's inputs. Trees are unpacked directories."""

    build_root: Sequence[Path]
    """The tree of the seed, or the trees of the tools, bottom first."""
    sysroot: Sequence[Path]
    """The trees of the dependencies, bottom first."""
    source: Path | None
    recipe: Mapping[str, Path]
    """The recipe's files; they appear as /recipe/<path>."""
    files: Mapping[str, Path]
    """Other input files, and unpacked sources; they appear as /input/<name>."""


@dataclass(frozen=True)
class Packed:
    """The packed DESTDIR: a synced temporary file, its sha256 and size, and the packed tree."""

    file: Path
    sha256: str
    size: int
    tree: Path


class StepFailed(BuildError):
    """A command of a step exited with a status other than 0; its output is in `log`."""

    def __init__(self, step: Step, command: Command, result: Result, log: Path) -> None:
        super().__init__(
            f"{command.argv[0]} failed with status {result.status}",
            where=f"pkg:{step.name} ({step.phase})",
            hint=f"log: {log}",
        )
        self.step, self.command, self.result, self.log = step, command, result, log


def prepare(
    step: Step, inputs: Inputs, directory: Path, *, overlay: bool, jobs: JobServer
) -> Sandbox:
    """Make the sandbox of `step` in `directory`; the files of earlier attempts are removed."""
    composer = Composer(fresh_directory(directory), overlay)
    # A build can make set-user-id files in it: other users must not reach them.
    directory.chmod(0o700)
    skeleton = _skeleton(step, inputs, directory / "skeleton")
    mounts = [
        scratch("/tmp"),
        composer.writable("/source", inputs.source),
        composer.writable("/build", None),
        composer.writable("/dest", None),
        composer.readonly("/sysroot", inputs.sysroot),
    ]
    if inputs.recipe:
        mounts.append(bound("/recipe", _copied(inputs.recipe, directory / "recipe")))
    for name, path in sorted(inputs.files.items()):
        seen = path if path.is_dir() else as_fetched(path, directory / "input" / name)
        mounts.append(bound(f"/input/{name}", seen))
    mounts.append(bound(PLACE, jobs.path, writable=True))
    root = composer.readonly("/", [*inputs.build_root, skeleton])
    return Sandbox(directory, root, mounts, dict(step.environment) | jobs.environment())


def run_commands(
    step: Step, place: Sandbox, first: int = 0, *, seconds: float | None = None
) -> list[Result]:
    """Run the step's commands from index `first` on.

    Raises StepFailed if one fails, and BuildError if all take longer than `seconds`.
    """
    log = place.directory / "log"
    commands = step.commands[first:]
    results = enter(place, commands, log=log, seconds=seconds)
    if results and results[-1].status != 0:
        raise StepFailed(step, commands[len(results) - 1], results[-1], log)
    return results


def apply_patches(step: Step, place: Sandbox, log: Path) -> str:
    """Apply the patches of `step` to the source in `place`, before anything else is done there.

    log: the file for what is said. Returns the path of the patch that does not apply, or "".
    """
    patching = [command for command in step.commands if command.argv[0] == "patch"]
    results = enter(place, patching, log=log) if patching else []
    return patching[len(results) - 1].argv[-1] if results and results[-1].status else ""


def pack_result(step: Step, place: Sandbox, into: Path) -> Packed:
    """Tidy DESTDIR and pack it into a temporary file in the directory `into`.

    Raises BuildError if the package installed a file that is not allowed.
    """
    tree = place.directory / "new-dest"
    tidy(tree, remove=step.remove)
    return pack_tree(tree, step.name, into)


def pack_tree(tree: Path, name: str, into: Path) -> Packed:
    """Pack `tree`, of the package `name`, into a temporary file in the directory `into`."""
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


def _skeleton(step: Step, inputs: Inputs, directory: Path) -> Path:
    """The layer over the build root: mount points, and the step's additions."""
    for name in FIXED:
        (directory / name).mkdir(parents=True)
    for name, file in inputs.files.items():
        place = directory / "input" / name
        place.mkdir() if file.is_dir() else place.touch()
    (directory / PLACE.lstrip("/")).touch()
    for addition in step.additions:
        path = directory / addition.path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if addition.link:
            path.symlink_to(addition.text)
        else:
            path.write_text(addition.text, encoding="utf-8")
    _settle(directory)
    return directory


def _copied(files: Mapping[str, Path], directory: Path) -> Path:
    """Copy the recipe's files: the step id has their paths and contents, not their modes."""
    directory.mkdir()
    for name, path in files.items():
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    _settle(directory)
    return directory


def _settle(tree: Path) -> None:
    """Set fixed modes and times: they must not depend on the user, the umask or the date."""
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)
    stamp_times(tree)
