"""regenerate: the system builds itself again, and every artifact must be the same.

outside: ──▶ the rootfs in a namespace, or the image in QEMU (in=vm) ──▶ doit regenerate, inside
inside (seed=self): ──▶ compile each package ──▶ compare with the files of this system
outside: the result of each package ──▶ work/challenged/, for the provenance of the product

An interrupted run keeps the results that it had; in=vm goes on with the other packages.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from plan.checks import SELF
from plan.errors import BuildError
from plan.model import Command, Step
from plan.typed import typed
from rootfs.archives.files import fresh_directory
from rootfs.image.names import CACHE, PROJECT
from tasks.actions import DoitTask, speaking
from tasks.beforehand import require_emulator, require_own_machine
from tasks.boot import machine
from tasks.console.console import say
from tasks.engine.builder import Builder, tree_of
from tasks.engine.no_such import no_such
from tasks.engine.products.products import WORK, image, trees, workspace
from tasks.engine.project import Project
from tasks.engine.records.verdicts import DIFFERS, IDENTICAL
from tasks.engine.seeds.roots import SelfRoot
from tasks.engine.seeds.system import System
from tasks.engine.stamps import artifacts, product_artifacts
from tasks.reproduce import agreements

if TYPE_CHECKING:
    from rootfs.sandbox.enter import Sandbox

# The directories of the cache that are written inside.
WRITABLE = ("artifacts", "steps", "trees")
# A result, as it is said inside.
_RESULT = re.compile(rf"(\S+): ({IDENTICAL}|{DIFFERS})")
VM = "vm"
"""The variation that the results of the image have, beside the seed."""
# Another date shows outputs that depend on it; a namespace has no clock of its own.
YEAR = 365  # days


def task_regenerate(project: Project) -> DoitTask:
    """build the system again inside itself and compare; in=vm, packages=a,b

    regenerate packages=zlib
    regenerate in=vm          in the booted image, a year later
    """
    inside = project.system is not None
    needs = ["image"] if project.settings.place == "vm" else list(project.plan.phases)
    return {
        "actions": [(speaking(_inside if inside else _outside), [project])],
        "task_dep": ["seed"] if inside else needs,
    }


def before_regenerate(project: Project, _words: Sequence[str]) -> None:
    """Raise BuildError if the set cannot build itself, or without a package or QEMU it needs."""
    if not project.plan.set.root and not project.system:
        raise BuildError(
            f"the set {project.plan.set.name} has no compiler, so it cannot build itself",
            hint=typed("regenerate set=full"),
        )
    chosen(project)
    if not project.system:
        require_sources(project)
    if project.settings.place == "vm":
        require_emulator(project)
    elif not project.system:
        require_own_machine(project, "system", f"{typed('regenerate in=vm')} does it in QEMU")


def require_sources(project: Project) -> None:
    """Raise BuildError if the system has no sources: it has no network to fetch them."""
    if not project.settings.sources:
        hint = "sources=yes puts them into it"
        raise BuildError(
            "without sources the system cannot build itself", where="sources=no", hint=hint
        )


def _outside(project: Project) -> None:
    names = chosen(project)
    if project.settings.place == "vm":
        project.exit_status = _in_vm(project, names)
        return
    standing = product_artifacts(project)
    made = in_namespace(project, names)
    project.exit_status = 0 if made == {name: standing[name] for name in names} else 1


def _command(jobs: int, names: list[str]) -> str:
    words = f"jobs={jobs} packages={','.join(names)}"
    return f"cd /{PROJECT} && exec python3 -m doit regenerate {words}"


def _in_vm(project: Project, names: list[str]) -> int:
    from rootfs.vm import boot

    if not project.settings.packages and (known := agreements.known(project, SELF, VM)):
        names = [name for name in names if name not in known]
        say(f"{len(known)} packages were identical before; packages= compiles them again")
        if not names:
            return 0
    log = project.workdir / "regenerate.console"
    log.unlink(missing_ok=True)
    say(f"in the image, with a clock one year ahead; this takes long; its output: {log}")
    later = machine(project, days_ahead=YEAR)
    command = _command(2, names)
    seconds = project.settings.command_limit or project.needs.image["regenerate"]
    try:
        result = boot.run(image(project).file, command, later, timeout_s=seconds, log=log)
    finally:
        standing, told = product_artifacts(project), said(log.read_bytes() if log.exists() else b"")
        made = {
            name: standing[name] if told[name] == IDENTICAL else ""
            for name in names
            if name in told
        }
        agreements.keep(project, SELF, made, further=[VM])
    say(result.output.rstrip("\n"))
    return result.status


def said(console: bytes) -> dict[str, str]:
    """The verdicts that are on the `console` of a machine which builds itself again, by package."""
    from rootfs.vm.transcript import plain

    lines = plain(console).decode(errors="replace").splitlines()
    found = (_RESULT.fullmatch(line.strip()) for line in lines)
    return {match[1]: match[2] for match in found if match}


def in_namespace(project: Project, names: list[str]) -> dict[str, str]:
    """The artifacts of the packages `names` when the product builds itself in a namespace.

    The namespace has the composed rootfs with the workspace over it; only the writable directories
    are from this machine. The results are kept, also if it is interrupted.
    """
    from rootfs.sandbox.enter import enter

    directory = fresh_directory(project.workdir / "regenerate")
    command = Command(("sh", "-c", _command(project.settings.jobs, names)), "/")
    try:
        enter(_rootfs(project, directory), [command], log=None)
    finally:
        made = _stamped(project, directory, names)
        agreements.keep(project, SELF, made)
    return made


def _stamped(project: Project, directory: Path, names: list[str]) -> dict[str, str]:
    """The artifacts of those `names` that are built inside, in `directory`."""
    stamps = directory / WORK / "stamps" / project.plan.set.phase
    found = {name: stamps / f"{name}.json" for name in names}
    return {
        name: str(json.loads(path.read_text())["artifact"])
        for name, path in found.items()
        if path.exists()
    }


def _rootfs(project: Project, directory: Path) -> Sandbox:
    from rootfs.sandbox.compose import Composer, bound, scratch
    from rootfs.sandbox.enter import Sandbox

    composer, contents = Composer(directory, project.overlay), workspace(project)
    packages = list(trees(project).values())
    over = contents.lay_out(directory / "workspace")
    # Mount the packages again: they are the build root of the builds inside.
    seed = SelfRoot(System(over), project.store).tree.name
    points = directory / "points"
    for name in ("proc", "dev", "tmp", *(f"{CACHE}/{name}" for name in WRITABLE)):
        (points / name).mkdir(parents=True)
    (points / PROJECT / WORK).mkdir(parents=True)
    (over / PROJECT / WORK).mkdir(exist_ok=True)
    written = {name: fresh_directory(directory / name) for name in (*WRITABLE, WORK)}
    (written["trees"] / seed).mkdir()
    # A mount hides the work directory inside, so the overrides are mounted too.
    shutil.copytree(over / PROJECT / WORK, written[WORK], dirs_exist_ok=True)
    mounts = [
        scratch("/tmp"),
        bound(f"/{PROJECT}/{WORK}", written[WORK], writable=True),
        *(bound(f"/{CACHE}/{name}", written[name], writable=True) for name in WRITABLE),
        composer.readonly(f"/{CACHE}/trees/{seed}", packages),
        *contents.bind_sources(over, ""),
    ]
    root = composer.readonly("/", [*packages, over, points])
    own = {"BQ2_CACHE": f"/{CACHE}", "BQ2_SEED": SELF, "BQ2_OFFLINE": "1"}
    return Sandbox(directory, root, mounts, {"PATH": "/usr/bin", "HOME": "/tmp"} | own, nested=True)


def chosen(project: Project) -> list[str]:
    """The packages to compile again: packages=, or all packages in image.json."""
    product = project.plan.product
    for name in project.settings.packages:
        if name not in product:
            raise no_such(project, name, product)
    return project.settings.packages or list(product)


def _inside(project: Project) -> None:
    system = project.system
    assert system is not None, "task_regenerate chose"
    names = chosen(project)
    differing = list[list[str]]()
    for step in _needed(project, names):
        builder = Builder(project, step)
        if step.name in names:
            builder.forget()
        elif builder.take_over():
            continue
        builder.build()
        made = artifacts(project, [step])[step.task]
        if step.name in names:
            same = made == system.artifacts[step.name]
            say(f"{step.name}: {IDENTICAL if same else DIFFERS}")
            if not same:
                differing.append(_differs(project, system, step.name))
    say(f"{len(names) - len(differing)} of {len(names)} identical")
    for first, *more in differing:
        say("\n".join([f"  differs: {first}", *more]))
    project.exit_status = 1 if differing else 0


def _needed(project: Project, names: list[str]) -> list[Step]:
    """The steps of `names` and of all their dependencies, in build order."""
    product = project.plan.product
    wanted = {*names, *(depend for name in names for depend in product[name].depends)}
    return [step for name, step in product.items() if name in wanted]


def _differs(project: Project, system: System, name: str) -> list[str]:
    """The first difference between the new tree of `name` and this system, as lines."""
    from rootfs.compare.compare import trees as differences

    old = system.tree([name], fresh_directory(project.workdir / "differing"))
    new = tree_of(project, project.plan.product[name])
    first = next(differences(old, new), None)
    if first is None:
        return [f"{name}: only the packing differs"]
    return [f"{name}: {first.path}", *(f"    {line}" for line in first.lines[1:])]
