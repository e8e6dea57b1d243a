"""Brings one step about in this work directory: from its inputs to its stamp.

    stamps of dependencies ─▶ step id ─▶ in the stamp?   nothing to do
                                     ├─▶ in the store?   write the stamp
                                     └─▶ otherwise       build, register, write the stamp

The stamp, `work/stamps/<phase>/<name>.json`, names the step id and the artifact (with its size, so
that a truncated one is noticed) that stand in this work directory. It is written last.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from cache.store import Record
from plan.errors import BuildError
from plan.identity import step_id
from plan.model import SYSROOT_FROM_SEED, Source, Step
from plan.plan import sha256_of
from rootfs.files import fresh_folder, remove_tree, replacing, unfinished
from rootfs.gpt import guid
from tasks.console import say
from tasks.progress import told
from tasks.project import Project

# One lock a tree: two steps may want the same one at the same moment.
_unpacking: dict[Path, threading.Lock] = {}


class Builder:
    """Brings one step about in this work directory."""

    def __init__(self, project: Project, step: Step) -> None:
        self.project, self.step = project, step
        stamps = project.workdir / "stamps" / step.phase
        self.stamp_file = stamps / f"{step.name}.json"
        self.forgotten = stamps / f"{step.name}.forgotten"
        self.folder = project.workdir / "build" / step.phase / step.name

    def stamp(self) -> dict[str, Any] | None:
        """The stamp, or None when there is none that can be read and whose artifact is whole."""
        try:
            stamp = dict(json.loads(self.stamp_file.read_text()))
            size = self.project.store.artifact(stamp["artifact"]).stat().st_size
            return stamp if stamp["size"] == size else None
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def stands(self) -> bool:
        """Whether nothing has to be built. What the store holds is taken over at once."""
        if self.forgotten.exists():
            return False
        wanted = self.step_id()
        if wanted is None:
            return False
        stamp = self.stamp()
        if stamp and stamp["step"] == wanted:
            return True
        record, origin = self.project.store.find(wanted), "from the store"
        if record is None:
            record, origin = self._adopted(wanted), "as this system holds it"
        if record is None:
            return False
        self.write_stamp(record)
        self.say(origin)
        return True

    def _adopted(self, wanted: str) -> Record | None:
        system = self.project.system
        if system is None or not system.holds(self.step, self.made(self.step.depends)):
            return None
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        return system.adopt(self.step, wanted, self.project.store, self.folder)

    def made(self, names: Sequence[str]) -> dict[str, str]:
        """The artifacts of those of `names` that stand in the phase of this step."""
        steps = self.project.plan.phases[self.step.phase]
        stamps = {name: Builder(self.project, steps[name]).stamp() for name in names}
        return {name: stamp["artifact"] for name, stamp in stamps.items() if stamp}

    def say(self, text: str) -> None:
        """One line about this step."""
        # Where there are two phases, the first is the less expected one.
        phases = self.project.plan.phases
        told = f" ({self.step.phase})" if self.step.phase != [*phases][-1] else ""
        say(f"pkg:{self.step.name:<15} {text}{told}")

    def build(self) -> None:
        """Run the step and register what it gave. Raises BuildError if it fails."""
        self.project.require("fetch", "seed")
        wanted = self.step_id()
        assert wanted is not None, "doit runs a task after its dependencies"
        record = self.project.store.find(wanted)
        if record is None or self.forgotten.exists():
            self.say(f"building {self.step.version}")
            record = self._run(wanted)
            changed = (self.stamp() or {}).get("artifact") != record.artifact
            self.say(
                f"built in {record.seconds:.0f} s "
                f"({record.cpu:.0f} CPU-s, peak {record.memory >> 20} MiB): "
                f"{record.size / 1e6:.1f} MB {record.artifact[:12]}"
                + ("" if changed else ", the same bytes as before")
            )
        self.write_stamp(record)
        self.forgotten.unlink(missing_ok=True)

    def forget(self) -> None:
        """Make the next run compile it again, from the start, though the store holds it."""
        from rootfs.resume import unmark

        self.forgotten.parent.mkdir(parents=True, exist_ok=True)
        self.forgotten.touch()
        unmark(self.folder)

    def step_id(self) -> str | None:
        """The id of the step as things stand, or None while a dependency is missing."""
        project, step = self.project, self.step
        before = {each.task: Builder(project, each).stamp() for each in project.plan.before(step)}
        if not all(before.values()):
            return None
        made = {task: stamp["artifact"] for task, stamp in before.items() if stamp}
        tools = [[name, made[f"{SYSROOT_FROM_SEED}:{name}"]] for name in step.tools]
        return step_id(
            step,
            build_root=sha256_of(tools) if tools else project.seed.identity,
            artifacts={name: made[f"{step.phase}:{name}"] for name in step.depends},
            image=describe_image(project, step.initramfs.packages) if step.initramfs else None,
        )

    def write_stamp(self, record: Record) -> None:
        """Say that the step stands, as `record` has it."""
        content = {"artifact": record.artifact, "size": record.size, "step": record.step}
        with replacing(self.stamp_file) as file:
            file.write(json.dumps(content).encode() + b"\n")

    def inputs(self) -> Any:
        """Where everything lies that the step needs: fetched, unpacked and ready."""
        from rootfs.step import Inputs

        project, step = self.project, self.step
        recipe = project.data / "recipes" / step.name
        files = {source.file: project.fetched(source) for source in step.sources[1:]}
        if step.initramfs:
            files["initramfs.cpio"] = self._initramfs()
        tools = [project.plan.phases[SYSROOT_FROM_SEED][name] for name in step.tools]
        return Inputs(
            build_root=[tree_of(project, tool) for tool in tools] or [project.seed.tree],
            sysroot=[tree_of(project, project.plan.phases[step.phase][n]) for n in step.depends],
            source=unpacked(project, step.sources[0]) if step.sources else None,
            recipe=recipe if step.files else None,
            files=files,
        )

    def prepare(self) -> Any:
        """The step's sandbox, empty of any earlier attempt."""
        from rootfs.step import prepare

        jobs, overlay = self.project.jobs, self.project.overlay
        return prepare(self.step, self.inputs(), self.folder, overlay=overlay, jobs=jobs)

    def _run(self, wanted: str) -> Record:
        from rootfs.resume import interrupted_at, mark, resumed
        from rootfs.step import pack_result, run_commands

        first = interrupted_at(self.step, self.folder, wanted)
        if first:
            self.say(f"goes on with its build of before, in {self.folder}")
            place = resumed(self.folder, self.project.jobs.environment())
        else:
            place = self.prepare()
            mark(self.folder, wanted)
        with told(place.folder / "log", self.say), self.project.jobs.slot():
            results = run_commands(self.step, place, first)
        packed = pack_result(self.step, place, self.project.store.scratch())
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
        )
        self.project.store.register(packed.file, record)
        keep_tree(packed.tree, self.project.store.tree(record.artifact))
        remove_tree(self.folder)
        return record

    def _initramfs(self) -> Path:
        from rootfs.initramfs import write_initramfs

        assert self.step.initramfs
        path = self.project.workdir / "initramfs" / f"{self.step.name}.cpio"
        product = self.project.plan.product
        layers = [tree_of(self.project, product[name]) for name in self.step.initramfs.packages]
        image = describe_image(self.project, self.step.initramfs.packages)
        with replacing(path) as file:
            write_initramfs(layers, file, leave=self.step.initramfs.leave, image=image)
        path.chmod(0o444)  # the step sees it, as it does its sources
        return path


def artifacts(project: Project) -> dict[str, str]:
    """The artifacts of the product, by package, as far as they stand in this work directory."""
    found = {name: Builder(project, step).stamp() for name, step in project.plan.product.items()}
    return {name: stamp["artifact"] for name, stamp in found.items() if stamp}


def image_identity(project: Project) -> str:
    """What all GUIDs of the image derive from."""
    return f"{project.settings.set} {project.settings.arch}"


def root_uuid(project: Project) -> UUID:
    """The UUID of the image's root file system, by which its initramfs finds it."""
    return guid(image_identity(project), "root file system")


def describe_image(project: Project, packages: Sequence[str]) -> dict[str, Any]:
    """What an image says about itself in /etc/bq2/image.json: facts only, no time and no place.

    `packages`: those that are in it, or in the initramfs for what is packed there.
    """
    made = artifacts(project)
    told = [
        {
            "name": name,
            "version": project.plan.recipes[name].version,
            "licence": project.plan.recipes[name].licence,
            "artifact": made[name],
        }
        for name in packages
    ]
    plan, more = project.plan, {}
    if plan.set.root:
        more["root"] = str(root_uuid(project))
    if plan.set.phase == SYSROOT_FROM_SEED:
        # What comes of the second phase does not depend on the seed, and shall not name it.
        more["seed"] = f"{project.seed.name} {project.seed.identity}"
    return more | {
        "name": "bootstrap-qcow2",
        "arch": project.settings.arch,
        "set": project.settings.set,
        "plan": plan.product_digest,
        "packages": told,
    }


def tree_of(project: Project, step: Step) -> Path:
    """The unpacked artifact of `step`; unpacked now if it was not yet."""
    from rootfs.archive import unpack

    stamp = Builder(project, step).stamp()
    assert stamp, "doit runs a task after its dependencies"
    artifact = stamp["artifact"]
    tree = project.store.tree(artifact)
    with _unpacking.setdefault(tree, threading.Lock()):
        if not tree.exists():
            project.store.require_intact(artifact, step.name)
            fresh = fresh_folder(unfinished(tree))
            unpack(project.store.artifact(artifact), fresh)
            keep_tree(fresh, tree)
    return tree


def unpacked(project: Project, source: Source) -> Path:
    """The unpacked tree of `source`, shared by all steps that leave out the same of it."""
    from rootfs.archive import unpack

    key = sha256_of([source.sha256, source.leave])[:32]
    tree = project.workdir / "sources" / f"{source.file.split('.tar')[0]}-{key}"
    with _unpacking.setdefault(tree, threading.Lock()):
        if not tree.exists():
            # One run a work directory: the same name again, so that a killed one leaves no second.
            fresh = fresh_folder(tree.with_name(f".{tree.name}.part"))
            try:
                unpack(project.fetched(source), fresh, strip=1, leave=source.leave)
            except BuildError as error:
                # The cache knows it by its hash alone.
                where = f"{source.file} ({error.where})"
                raise BuildError(error.message, where=where, hint=error.hint) from error
            keep_tree(fresh, tree)
    return tree


def keep_tree(tree: Path, target: Path) -> None:
    """Rename `tree` to `target`, unless `target` is there or lies on another file system."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        tree.rename(target)
    except OSError:
        remove_tree(tree)
