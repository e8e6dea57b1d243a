"""Builds the packages of objects= here, and lets the workers of remote= compile their files.

    ninja ─▶ recc ─▶ clang on a worker, in the build root of the plan, at the same paths ─▶ object
              └─ no worker? ─▶ clang here

The root goes to the server as a directory, named by its hash, so it is the same compiler and the
same libraries. What CMake tries when it configures is compiled here, so no worker decides what is
built. recc is CMake's launcher by variables that are no part of a step, like JOBS.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cache.merkle import Blob, Tree, of_bytes, of_file
from cache.reapi import ServerFailed, protocol
from plan.compiling import styles
from rootfs.archives.tree import merge
from rootfs.sandbox.compose import layers
from rootfs.sandbox.enter import Result, Sandbox
from rootfs.sandbox.host import memory
from rootfs.sandbox.launcher import DOOR, PROGRAMS, alone, root_layers, with_launcher
from rootfs.sandbox.step import StepFailed, run_commands
from tasks.engine.builder import Builder
from tasks.engine.casd import SOCKET, Casd, argv, programs
from tasks.engine.project import Project
from tasks.engine.workers import Workers, platform_of

# What a worker gets with each file that it compiles; all else below / is in its root.
_SENT = frozenset({"build", "casd", "dest", "dev", "input", "proc", "recc", "recipe", "source"})
_SENT_TOO = frozenset({"jobserver", "sys", "tmp"})
# Where CMake puts what it tries, before and since version 3.25.
_TRIED = r".*/CMakeFiles/CMake(Tmp|Scratch)/.*"
_MARK, _MARKED = "usr/.bq2-root", b"the root of this build\n"
_TIMES = 8  # compilers at once for each job here: they mostly wait
_MEMORY = 512 << 20  # bytes for each compiler, should all run here
_HERE = b"falling back to local execution"  # recc says so
_INJECT = "inject"  # the property by which a worker shows something of its machine


class Objects:
    """What compiles on the workers, for one run. All methods are safe in any thread."""

    def __init__(self, project: Project, workers: Workers) -> None:
        self.project, self.workers = project, workers
        self._lock = threading.Lock()
        self._blobs: dict[Path, Blob] = {}
        self._casd: Casd | None = None

    def run(self, builder: Builder, place: Sandbox, first: int) -> list[Result]:
        """Run the commands of the step from index `first` on. Raises StepFailed, BuildError.

        A compiler that fails on a worker runs here too before the step fails.
        """
        step, seconds = builder.step, self.project.settings.timeout
        launched = self._launched(builder, place)
        if launched is None:
            return run_commands(step, alone(place), first, seconds=seconds)
        try:
            return run_commands(step, launched, first, seconds=seconds)
        except StepFailed as error:
            if not styles.resumable(error.command):
                raise
            failed = step.commands.index(error.command)
        finally:
            self._tell_what_ran_here(builder, place.directory / "log")
        builder.emit("note", text=f"{step.name} failed with compilers on workers: once more here")
        return run_commands(step, alone(launched), failed, seconds=seconds)

    def _tell_what_ran_here(self, builder: Builder, log: Path) -> None:
        count = log.read_bytes().count(_HERE) if log.exists() else 0
        if count:
            what = f"{count} files of {builder.step.name} were compiled here"
            builder.emit("note", text=f"{self.workers.url}: {what}: the log has the reasons")

    def _launched(self, builder: Builder, place: Sandbox) -> Sandbox | None:
        """The sandbox with the launcher in it; None if the workers cannot be used."""
        if self.workers.is_gone:
            return None
        try:
            with self._lock:
                casd = self._started()
                root, names = self._sent_root(place)
        except ServerFailed as error:
            self.workers.tell(builder.step, error)
            return None
        overlay = self.project.overlay
        place = with_launcher(place, casd.tree, casd.socket, overlay=overlay)
        own = {f"RECC_REMOTE_ENV_{name}": value for name, value in builder.step.environment}
        platform = {f"RECC_REMOTE_PLATFORM_{name}": value for name, value in self._platform(root)}
        variables = {
            **dict.fromkeys(
                ("CMAKE_C_COMPILER_LAUNCHER", "CMAKE_CXX_COMPILER_LAUNCHER"),
                ";".join(argv("recc", PROGRAMS)),
            ),
            "CMAKE_BUILD_PARALLEL_LEVEL": str(self._compilers()),
            "RECC_SERVER": f"unix:{DOOR}/{SOCKET}",
            "RECC_PROJECT_ROOT": "/",
            "RECC_NO_PATH_REWRITE": "1",
            "RECC_DEPS_GLOBAL_PATHS": "1",
            "RECC_DEPS_EXCLUDE_PATHS": ",".join(names),
            "RECC_INVALID_INPUT_PATHS_REGEX": _TRIED,
            "RECC_FALLBACK_TO_LOCAL": "1",
            "RECC_IGNORE_FAILURE_RESULT": "1",
            **own,
            **platform,
        }
        return replace(place, environment={**place.environment, **variables})

    def _started(self) -> Casd:
        if self._casd is None:
            tree = programs(self.project)
            self._casd = Casd(self.project, tree, self.project.workdir / "objects" / "casd")
        self._casd.start()
        return self._casd

    def _compilers(self) -> int:
        jobs = self.project.settings.jobs
        return max(jobs, min(_TIMES * jobs, memory()[0] // _MEMORY))

    def _platform(self, root: Blob) -> Iterable[tuple[str, str]]:
        given = self.project.settings.platform
        kept = [(name, value) for name, value in given if name != _INJECT]
        return [*kept, ("chrootRootDigest", f"{root.sha256}/{root.size}")]

    def _sent_root(self, place: Sandbox) -> tuple[Blob, list[str]]:
        """The root of `place` as a directory that the server has, and the paths of its parts.

        Raises ServerFailed, also if a worker does not run commands in it.
        """
        tree = Tree()
        self._put(tree, "", root_layers(place))
        sysroot = next(each for each in place.mounts if each["at"] == "/sysroot")
        self._put(tree, "sysroot", layers(sysroot))
        tree.add(_MARK, of_bytes(_MARKED))
        root, blobs = tree.encoded(protocol)
        parts = {*tree.directories, *tree.links} - _SENT - _SENT_TOO
        command = protocol.Command(
            arguments=["/bin/sh", "-c", f"cat /{_MARK}"],
            platform=platform_of(self._platform(root)),
        )
        empty, _ = Tree().encoded(protocol)
        blobs[empty.sha256] = empty
        result = self.workers.act(command, empty, blobs.values(), fresh=True, kept=False)
        if result.exit_code or not self._says_mark(result):
            said = result.stderr_raw.decode(errors="replace").strip()
            reason = said or "it has another /usr"
            raise ServerFailed(f"a worker does not run commands in the root of the plan: {reason}")
        return root, [f"/{name}" for name in sorted(parts)]

    def _says_mark(self, result: Any) -> bool:
        return bool(
            result.stdout_raw == _MARKED or result.stdout_digest.hash == of_bytes(_MARKED).sha256
        )

    def _put(self, tree: Tree, at: str, layers: Sequence[Path]) -> None:
        above = f"{at}/" if at else ""
        tree.directory(at)
        for entry in merge(layers):
            path, mode = above + entry.path, entry.status.st_mode
            if stat.S_ISDIR(mode):
                tree.directory(path)
            elif stat.S_ISLNK(mode):
                tree.link(path, os.fspath(entry.source.readlink()))
            elif stat.S_ISREG(mode):
                tree.add(path, self._blob(entry.source), executable=bool(mode & 0o111))

    def _blob(self, path: Path) -> Blob:
        """The file, which is read once in a run: no tree changes."""
        if path not in self._blobs:
            self._blobs[path] = of_file(path)
        return self._blobs[path]
