"""Builds one step in this work directory: from its inputs to its stamp.

stamps of dependencies ─▶ step id ─▶ in the stamp?   nothing to do
                                 ├─▶ in the store?   write the stamp
                                 └─▶ otherwise       build, register, write the stamp
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cache.store import Record, Vanished
from cache.uses import saying
from plan.errors import BuildError
from plan.model import SYSROOT_FROM_SEED, Step
from plan.outputs import replacing
from plan.steps.identity import step_id, step_inputs
from plan.steps.plan import sha256_of
from rootfs.archives.files import remove_tree
from tasks.engine import trees
from tasks.engine.failures import report_file
from tasks.engine.image_facts import describe_image
from tasks.engine.project import Project
from tasks.engine.records.contradiction import require_one
from tasks.engine.stamps import Made, Stamp, artifacts, package_artifacts
from tasks.engine.trees import keep_tree, unpacked

if TYPE_CHECKING:
    from rootfs.sandbox.enter import Sandbox
    from rootfs.sandbox.step import Inputs

# One lock per step: two dependents may find at the same moment that its artifact is gone.
_locks: dict[Path, threading.RLock] = {}
_TOLD = ("artifact", "size", "seconds", "cpu", "memory")  # fields of a record, for events
TRIES = 3  # times that a lost tree is made again before the loss is an error


def ensure(project: Project, steps: Iterable[Step]) -> None:
    """Make those of `steps` again that were up to date earlier in this run and are gone now."""
    for step in steps:
        if Stamp(project, step).read() is None:
            Builder(project, step).make_again()


def tree_of(project: Project, step: Step) -> Path:
    """The unpacked artifact of `step`; it is made again if it is gone. Raises BuildError."""
    for _ in range(TRIES):
        try:
            return trees.tree_of(project, step)
        except Vanished as error:
            project.events.emit("note", text=f"{error.message}: it is made again")
            Builder(project, step).make_again()
    return trees.tree_of(project, step)


class Builder:
    """Builds one step in this work directory."""

    def __init__(self, project: Project, step: Step) -> None:
        self.project, self.step = project, step
        self.stamp = Stamp(project, step)
        self.directory = project.workdir / "build" / step.phase / step.name

    def is_here(self) -> bool:
        """Whether the artifact of the last build is whole, and is still the one to use."""
        return self._kept() is not None

    def keep(self) -> bool:
        """The same as `is_here`; if so, record that this plan uses the artifact."""
        with saying(self.project.cache):
            made = self._kept()
            if made:
                self.project.uses.took(made.step, made.artifact)
        return made is not None

    def _kept(self) -> Made | None:
        made, store = self.stamp.read(), self.project.store
        if made is None or self.stamp.forgotten.exists():
            return None
        # Another checkout may have built the step to other bytes since.
        agreed = not store.contradicting(made.step)
        return made if agreed and made.agrees(store.find(made.step)) else None

    def take_over(self) -> bool:
        """Whether the artifact is known. If so, record its use, and write a missing stamp."""
        if self.stamp.forgotten.exists():
            return False
        wanted = self.step_id()
        if wanted is None:
            return False
        with saying(self.project.cache):
            contradicted = self.project.store.contradicting(wanted)
            artifact = None if contradicted else self._found(wanted)
            if artifact:
                self.project.uses.took(wanted, artifact)
        return artifact is not None

    def _found(self, wanted: str) -> str | None:
        """The artifact of the step id `wanted`, from the stamp, or else from the store."""
        record, origin = self.project.store.find(wanted), "from the store"
        if stamp := self.stamp.read_of(wanted, record):
            return stamp.artifact
        if record is None:
            record, origin = self._adopted(wanted), "as this system holds it"
        if record is None and (taking := self.project.taking):
            record = taking.take(self.step, wanted)
        if record is None:
            return None
        if record.origin:
            origin = f"from {record.origin}"
        self._stamp(record)
        self.emit("hit", id=wanted, artifact=record.artifact, size=record.size, origin=origin)
        return record.artifact

    def _adopted(self, wanted: str) -> Record | None:
        project, system = self.project, self.project.system
        if system is None:
            return None
        depends = package_artifacts(project, self.step.phase, self.step.depends)
        if not system.holds(self.step, depends, project.plan.product_digest):
            return None
        return system.adopt(self.step, wanted, project.store)

    def emit(self, event: str, **facts: Any) -> None:
        """Emit an event of this step."""
        self.project.events.emit(event, step=self.step.task, **facts)

    def build(self) -> None:
        """Take the step from the store, or run it and register its artifact.

        Raises BuildError if it fails, or if its bytes differ from an earlier build's: then no step
        uses it until a person chooses.
        """
        self.project.require("fetch", "seed")
        with self._making:
            wanted = self._wanted()
            if not self._is_known(wanted):
                self._make(wanted)
                if taking := self.project.taking:
                    taking.compare(wanted)
                require_one(self.project.store, wanted)
                self._take(wanted)
            report_file(self.project, self.step).unlink(missing_ok=True)

    def make_again(self) -> None:
        """Build it if it is not up to date: a dependent needs it, and it is gone."""
        with self._making:
            if not self.take_over():
                self.build()

    @property
    def _making(self) -> threading.RLock:
        """The lock of the step's builder thread, which may build it for several dependents."""
        return _locks.setdefault(self.stamp.file, threading.RLock())

    def _wanted(self) -> str:
        """The step id. Dependencies that are gone are made again."""
        ensure(self.project, self.project.plan.before(self.step))
        wanted = self.step_id()
        if wanted is None:
            raise Vanished(self.step.name, self.stamp.file, how="needs a dependency that is gone")
        return wanted

    def _is_known(self, wanted: str) -> bool:
        """Whether it is known and was not forgotten, so it need not run. Raises BuildError if its
        builds contradict each other.
        """
        if self.stamp.forgotten.exists():
            return False
        require_one(self.project.store, wanted)
        return self.take_over()

    def _take(self, wanted: str) -> None:
        """Write the stamp of what the store has since this build."""
        with saying(self.project.cache):
            if record := self.project.store.find(wanted):
                self._stamp(record)

    def forget(self) -> None:
        """Make the next run build it again from the start, even if the store has it."""
        from rootfs.sandbox.resume import unmark

        self.stamp.forget()
        unmark(self.directory)

    def inputs(self, made: Mapping[str, str]) -> dict[str, Any] | None:
        """All inputs of the step (the step id is their hash), or None if `made` lacks the artifact
        of a dependency. `made`: artifacts by the names of the steps' tasks.
        """
        project, step = self.project, self.step
        if any(before.task not in made for before in project.plan.before(step)):
            return None
        tools = self.tools(made)
        depends = {name: made[f"{step.phase}:{name}"] for name in step.depends}
        packed = step.initramfs.packages if step.initramfs else ()
        seed = [project.seed.identity] if step.is_on_seed else []
        return step_inputs(
            step,
            build_root=sha256_of([*seed, *tools]) if tools else seed[0],
            artifacts=depends,
            image=describe_image(project, packed, depends) if packed else None,
        )

    def tools(self, made: Mapping[str, str]) -> list[list[str]]:
        """The parts of the build root: the names of the tools, and their artifacts."""
        return [[name, made[f"{SYSROOT_FROM_SEED}:{name}"]] for name in self.step.tools]

    def facts(self, made: Mapping[str, str]) -> dict[str, Any] | None:
        """The inputs, with the tools by name, for `doit why`."""
        inputs = self.inputs(made)
        return {**inputs, "tools": self.tools(made)} if inputs else None

    def step_id(self) -> str | None:
        """The current id of the step, or None if a dependency is missing."""
        inputs = self.inputs(self._made())
        return step_id(inputs) if inputs else None

    def _made(self) -> Mapping[str, str]:
        return artifacts(self.project, self.project.plan.before(self.step))

    def _stamp(self, record: Record) -> None:
        self.stamp.write(record, self.facts(self._made()) or {})
        self.project.uses.took(record.step, record.artifact)

    def places(self) -> Inputs:
        """The paths of everything that the step needs: fetched, unpacked and ready."""
        from rootfs.sandbox.step import Inputs

        project, step = self.project, self.step
        files = {
            source.file: unpacked(project, source) if source.into else project.fetched(source)
            for source in step.sources[1:]
        }
        if step.initramfs:
            files["initramfs.cpio"] = self.initramfs()
        tools = [tree_of(project, tool) for tool in project.plan.tools(step)]
        seed = [project.seed.tree] if step.is_on_seed else []
        return Inputs(
            build_root=[*seed, *tools],
            sysroot=[tree_of(project, project.plan.phases[step.phase][n]) for n in step.depends],
            source=unpacked(project, step.sources[0]) if step.sources else None,
            recipe=project.recipe_files(step.name, [path for path, _ in step.files]),
            files=files,
        )

    def set_edits_aside(self) -> None:
        """Move a person's edits that are in no patch out of the directory: it is to be emptied."""
        from rootfs.sandbox.edits import set_aside

        if kept := set_aside(self.directory):
            self.emit("note", text=f"edits that are in no patch are kept in {kept}")

    def prepare(self) -> Sandbox:
        """The step's sandbox, without files of an earlier attempt."""
        from rootfs.sandbox.step import prepare

        jobs, overlay = self.project.jobs, self.project.overlay
        return prepare(self.step, self.places(), self.directory, overlay=overlay, jobs=jobs)

    def _make(self, wanted: str) -> None:
        """Run the step somewhere, and register its artifact."""
        from tasks.engine.layout import require_fit
        from tasks.engine.somewhere import build

        built = build(self, wanted)
        packed = built.packed
        try:
            require_fit(self.project, self.step, packed.tree)
        except BuildError:
            packed.file.unlink()
            raise
        record = Record(
            step=wanted,
            name=self.step.name,
            version=self.step.version,
            phase=self.step.phase,
            artifact=packed.sha256,
            size=packed.size,
            seconds=round(sum(result.seconds for result in built.results), 3),
            cpu=round(sum(result.cpu for result in built.results), 3),
            memory=max(result.memory for result in built.results),
            resumed=built.resumed,
        )
        with saying(self.project.cache):
            self.project.store.register(packed.file, record)
            keep_tree(packed.tree, self.project.store.tree(record.artifact))
            self.project.uses.took(wanted, record.artifact)
        remove_tree(self.directory)
        self.stamp.forgotten.unlink(missing_ok=True)
        self._say_end(record)

    def say_start(self, wanted: str, *, resumed: bool = False, worker: bool = False) -> None:
        """Emit the event that the step with the id `wanted` starts."""
        log = str(self.directory / "log")
        facts = {"version": self.step.version, "log": log, "resumed": resumed, "worker": worker}
        self.emit("start", id=wanted, **facts)

    def _say_end(self, record: Record) -> None:
        facts = {name: getattr(record, name) for name in _TOLD}
        before = self.stamp.read()
        changed = before is None or before.artifact != record.artifact
        self.emit("end", id=record.step, changed=changed, **facts)

    def initramfs(self) -> Path:
        """Write the initramfs that the step gets, and return its path."""
        from rootfs.image.initramfs import write_initramfs

        assert self.step.initramfs
        path = self.project.workdir / "initramfs" / f"{self.step.name}.cpio"
        product, packages = self.project.plan.product, self.step.initramfs.packages
        layers = [tree_of(self.project, product[name]) for name in packages]
        self._say_what_is_left_out(dict(zip(packages, layers, strict=True)))
        made = package_artifacts(self.project, self.step.phase, packages)
        image = describe_image(self.project, packages, made)
        with replacing(path) as file:
            write_initramfs(layers, file, exclude=self.step.initramfs.exclude, image=image)
        path.chmod(0o444)  # the mode that the step sees, as for its sources
        return path

    def _say_what_is_left_out(self, trees: Mapping[str, Path]) -> None:
        """Emit a note for each package of with= of which no file is in the initramfs."""
        from rootfs.archives.tree import files_in

        assert self.step.initramfs
        for name in self.project.settings.added:
            if name in trees and not files_in(trees[name], self.step.initramfs.exclude):
                text = f"no file of {name} is in the image: `exclude` of the initramfs in "
                self.emit("note", text=f"{text}plan/sets.yaml leaves all of them out")
