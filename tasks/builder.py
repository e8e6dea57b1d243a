"""Brings one step about in this work directory: from its inputs to its stamp.

stamps of dependencies ─▶ step id ─▶ in the stamp?   nothing to do
                                 ├─▶ in the store?   write the stamp
                                 └─▶ otherwise       build, register, write the stamp
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cache.store import Record, Vanished
from cache.uses import saying
from plan.errors import BuildError
from plan.identity import step_id, step_inputs
from plan.model import SYSROOT_FROM_SEED, Step
from plan.plan import sha256_of
from rootfs.files import remove_tree, replacing
from tasks import trees
from tasks.contradiction import require_one
from tasks.describe import describe_image
from tasks.failures import report_file
from tasks.project import Project
from tasks.stamps import Stamp, artifacts, package_artifacts
from tasks.trees import Ground, keep_tree, unpacked

# One a step: two that need it may find at the same moment that it vanished.
_locks: dict[Path, threading.RLock] = {}
_TOLD = ("artifact", "size", "seconds", "cpu", "memory")  # of a record, when it was built
_TRIES = 3  # times that a tree is made again before its loss is an error


def stand(project: Project, steps: Iterable[Step]) -> None:
    """Make those of `steps` again that stood when the run came to them, and vanished since."""
    for step in steps:
        if Stamp(project, step).read() is None:
            Builder(project, step).make_again()


def tree_of(project: Project, step: Step) -> Path:
    """The unpacked artifact of `step`, which is made again if it vanished. Raises BuildError."""
    for _ in range(_TRIES):
        try:
            return trees.tree_of(project, step)
        except Vanished as error:
            project.events.emit("note", text=f"{error.message}: it is made again")
            Builder(project, step).make_again()
    return trees.tree_of(project, step)


class Builder:
    """Brings one step about in this work directory."""

    def __init__(self, project: Project, step: Step) -> None:
        self.project, self.step = project, step
        self.stamp = Stamp(project, step)
        self.folder = project.workdir / "build" / step.phase / step.name

    def stands(self) -> bool:
        """Whether nothing has to be built. What the store holds is taken over at once."""
        if self.stamp.forgotten.exists():
            return False
        wanted = self.step_id()
        if wanted is None:
            return False
        with saying():
            contradicted = self.project.store.contradicting(wanted)
            artifact = None if contradicted else self._found(wanted)
            if artifact:
                self.project.uses.took(wanted, artifact)
        return artifact is not None

    def _found(self, wanted: str) -> str | None:
        """The artifact of the step id `wanted`, by the stamp, or taken over from the store."""
        record, origin = self.project.store.find(wanted), "from the store"
        if stamp := self.stamp.read_of(wanted, record):
            return str(stamp["artifact"])
        if record is None:
            record, origin = self._adopted(wanted), "as this system holds it"
        if record is None:
            return None
        self._stamp(record)
        self._emit("hit", id=wanted, artifact=record.artifact, size=record.size, origin=origin)
        return record.artifact

    def _adopted(self, wanted: str) -> Record | None:
        project, system = self.project, self.project.system
        if system is None:
            return None
        depends = package_artifacts(project, self.step.phase, self.step.depends)
        if not system.holds(self.step, depends, project.plan.product_digest):
            return None
        return system.adopt(self.step, wanted, project.store)

    def _emit(self, event: str, **facts: Any) -> None:
        self.project.events.emit(event, step=self.step.task, **facts)

    def build(self) -> None:
        """Run the step and register what it gave. Raises BuildError if it fails, or if it gave
        other bytes than before: then nothing is built on it until a person chooses.
        """
        self.project.require("fetch", "seed")
        with self._making:
            wanted = self._wanted()
            if self.stamp.forgotten.exists():
                self._make(wanted)
            require_one(self.project.store, wanted)
            if not self._took(wanted):
                self._make(wanted)
                require_one(self.project.store, wanted)
                self._took(wanted)
            report_file(self.project, self.step).unlink(missing_ok=True)

    def make_again(self) -> None:
        """Build it, unless it stands by now: another task needs it, and it vanished."""
        with self._making:
            if not self.stands():
                self.build()

    @property
    def _making(self) -> threading.RLock:
        """Held by the thread that makes the step, which may do so for several others."""
        return _locks.setdefault(self.stamp.file, threading.RLock())

    def _wanted(self) -> str:
        """The step id. What comes before the step is made again where it vanished."""
        stand(self.project, self.project.plan.before(self.step))
        wanted = self.step_id()
        if wanted is None:
            raise Vanished(self.step.name, self.stamp.file, how="needs what is gone")
        return wanted

    def _took(self, wanted: str) -> bool:
        """Whether the store has the step; then this work directory has it too."""
        with saying():
            record = self.project.store.find(wanted)
            if record:
                self._stamp(record)
        return record is not None

    def forget(self) -> None:
        """Make the next run compile it again, from the start, though the store holds it."""
        from rootfs.resume import unmark

        self.stamp.forget()
        unmark(self.folder)

    def inputs(self, made: Mapping[str, str]) -> dict[str, Any] | None:
        """All that the result depends on (its hash is the step id), or None while `made` lacks
        what comes before. `made`: artifacts by the names of the steps' tasks.
        """
        project, step = self.project, self.step
        if any(before.task not in made for before in project.plan.before(step)):
            return None
        tools = self.tools(made)
        depends = {name: made[f"{step.phase}:{name}"] for name in step.depends}
        packed = step.initramfs.packages if step.initramfs else ()
        seed = [] if step.phase != SYSROOT_FROM_SEED and tools else [project.seed.identity]
        return step_inputs(
            step,
            build_root=sha256_of([*seed, *tools]) if tools else seed[0],
            artifacts=depends,
            image=describe_image(project, packed, depends) if packed else None,
        )

    def tools(self, made: Mapping[str, str]) -> list[list[str]]:
        """What the build root is composed of: the names of the tools, and their artifacts."""
        return [[name, made[f"{SYSROOT_FROM_SEED}:{name}"]] for name in self.step.tools]

    def facts(self, made: Mapping[str, str]) -> dict[str, Any] | None:
        """The inputs, with the tools by name: what `doit why` compares."""
        inputs = self.inputs(made)
        return {**inputs, "tools": self.tools(made)} if inputs else None

    def step_id(self) -> str | None:
        """The id of the step as things stand, or None while a dependency is missing."""
        inputs = self.inputs(self._made())
        return step_id(inputs) if inputs else None

    def _made(self) -> Mapping[str, str]:
        return artifacts(self.project, self.project.plan.before(self.step))

    def _stamp(self, record: Record) -> None:
        self.stamp.write(record, self.facts(self._made()) or {})
        self.project.uses.took(record.step, record.artifact)

    def places(self) -> Any:
        """Where everything lies that the step needs: fetched, unpacked and ready."""
        from rootfs.step import Inputs

        project, step = self.project, self.step
        files = {source.file: project.fetched(source) for source in step.sources[1:]}
        if step.initramfs:
            files["initramfs.cpio"] = self._initramfs()
        tools = [tree_of(project, tool) for tool in project.plan.tools(step)]
        seed = [] if step.phase != SYSROOT_FROM_SEED and tools else [project.seed.tree]
        return Inputs(
            build_root=[*seed, *tools],
            sysroot=[tree_of(project, project.plan.phases[step.phase][n]) for n in step.depends],
            source=unpacked(project, step.sources[0]) if step.sources else None,
            recipe={path: project.recipe_file(step.name, path) for path, _ in step.files},
            files=files,
        )

    def prepare(self) -> Any:
        """The step's sandbox, empty of any earlier attempt."""
        from rootfs.step import prepare

        jobs, overlay = self.project.jobs, self.project.overlay
        return prepare(self.step, self.places(), self.folder, overlay=overlay, jobs=jobs)

    def _make(self, wanted: str) -> None:
        """Run the step, once more where what it is built on vanished meanwhile (`doit fsck`
        removes what is damaged): whatever came of it then counts for nothing.
        """
        from rootfs.resume import unmark

        before = self.project.plan.before(self.step)
        for left in reversed(range(_TRIES)):
            ground = Ground([tree_of(self.project, each) for each in before])
            try:
                self._run(wanted, ground)
                return
            except (BuildError, OSError):
                if not ground.is_lost():
                    raise
                unmark(self.folder)
                if not left:
                    raise
                self._emit("note", text="what it is built on vanished: it is built again")

    def _run(self, wanted: str, ground: Ground) -> None:
        from rootfs.edits import set_aside
        from rootfs.resume import interrupted_at, mark, resumed
        from rootfs.step import pack_result, run_commands

        first = interrupted_at(self.step, self.folder, wanted)
        log = str(self.folder / "log")
        self._emit("start", id=wanted, version=self.step.version, log=log, resumed=first > 0)
        if first:
            place = resumed(self.folder, self.project.jobs.environment())
        else:
            if kept := set_aside(self.folder):
                text = f"what was edited in it, and is in no patch, is kept in {kept}"
                self._emit("note", text=text)
            place = self.prepare()
            mark(self.folder, wanted)
        with self.project.jobs.slot():
            limit = self.project.settings.timeout
            results = run_commands(self.step, place, first, seconds=limit)
        packed = pack_result(self.step, place, self.project.store.scratch())
        if ground.is_lost():
            packed.file.unlink()
            raise Vanished(self.step.name, self.folder, how="was made on what vanished")
        record = Record(
            step=wanted,
            name=self.step.name,
            version=self.step.version,
            phase=self.step.phase,
            artifact=packed.sha256,
            size=packed.size,
            seconds=round(sum(result.seconds for result in results), 3),
            cpu=round(sum(result.cpu for result in results), 3),
            memory=max(result.memory for result in results),
            resumed=first > 0,
        )
        with saying():
            self.project.store.register(packed.file, record)
            keep_tree(packed.tree, self.project.store.tree(record.artifact))
            self.project.uses.took(wanted, record.artifact)
        remove_tree(self.folder)
        self.stamp.forgotten.unlink(missing_ok=True)
        self._say_end(record)

    def _say_end(self, record: Record) -> None:
        facts = {name: getattr(record, name) for name in _TOLD}
        changed = (self.stamp.read() or {}).get("artifact") != record.artifact
        self._emit("end", id=record.step, changed=changed, **facts)

    def _initramfs(self) -> Path:
        from rootfs.initramfs import write_initramfs

        assert self.step.initramfs
        path = self.project.workdir / "initramfs" / f"{self.step.name}.cpio"
        product, packages = self.project.plan.product, self.step.initramfs.packages
        layers = [tree_of(self.project, product[name]) for name in packages]
        made = package_artifacts(self.project, self.step.phase, packages)
        image = describe_image(self.project, packages, made)
        with replacing(path) as file:
            write_initramfs(layers, file, leave=self.step.initramfs.leave, image=image)
        path.chmod(0o444)  # the step sees it, as it does its sources
        return path
