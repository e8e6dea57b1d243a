"""regenerate: the system builds itself again, and every artifact has to come out the same.

outside: ──▶ the rootfs in a namespace, or the image in QEMU (in=vm) ──▶ doit regenerate, inside
inside (seed=self): ──▶ compile each package ──▶ compare with what this system is made of
outside: what the namespace gave ──▶ work/challenged/, for the proof beside the product
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plan.errors import BuildError, nearest
from plan.model import Command, Step
from rootfs.files import fresh_folder
from rootfs.workspace import CACHE, PROJECT
from tasks import challenged
from tasks.builder import Builder, tree_of
from tasks.console import say, speaking
from tasks.machine import machine
from tasks.products import WORK, image, trees, workspace
from tasks.project import project
from tasks.seeds import SelfRoot
from tasks.stamps import artifacts, product_artifacts
from tasks.system import System

if TYPE_CHECKING:
    from rootfs.enter import Sandbox

# Of the cache inside, what is written to.
WRITABLE = ("artifacts", "steps", "trees")
VM_SECONDS = 4 * 3600
# What the date gets into shows where it is another one; a namespace has no clock of its own.
YEAR = 365  # days


def task_regenerate() -> dict[str, Any]:
    """build the system again inside itself and compare; in=vm: in the image; packages=a,b"""
    inside = project.system is not None
    needs = ["image"] if project.settings.place == "vm" else list(project.plan.phases)
    return {
        "actions": [(speaking(_inside if inside else _outside),)],
        "task_dep": ["seed"] if inside else needs,
    }


def _outside() -> None:
    if not project.plan.set.root:
        raise BuildError(
            f"the set {project.plan.set.name} holds no compiler, so it cannot build itself",
            hint="doit regenerate set=full",
        )
    names = chosen()  # a misspelt package shows here, not after the machine has booted
    if project.settings.place == "vm":
        project.exit_status = _in_vm(names)
        return
    standing = product_artifacts(project)
    made = in_namespace(names)
    challenged.keep(project, "self", made)
    project.exit_status = 0 if made == {name: standing[name] for name in names} else 1


def _command(jobs: int, names: list[str]) -> str:
    words = f"jobs={jobs} packages={','.join(names)}"
    return f"cd /{PROJECT} && exec python3 -m doit regenerate {words}"


def _in_vm(names: list[str]) -> int:
    from rootfs import vm

    log = project.workdir / "regenerate.console"
    say(f"in the image, where it is a year later, which takes its time; what it prints: {log}")
    later = machine(days_ahead=YEAR)
    result = vm.run(image.file, _command(2, names), later, timeout_s=VM_SECONDS, log=log)
    say(result.output.rstrip("\n"))
    return result.status


def in_namespace(names: list[str]) -> dict[str, str]:
    """The artifacts of the packages `names` that the product gives when it builds itself.

    It does so in a namespace: the composed rootfs with the workspace over it, and of this machine
    only where to write.
    """
    from rootfs.enter import enter

    folder = fresh_folder(project.workdir / "regenerate")
    command = Command(("sh", "-c", _command(project.settings.jobs, names)), "/")
    enter(_rootfs(folder), [command], log=None)
    stamps = folder / WORK / "stamps" / project.plan.set.phase
    found = {name: stamps / f"{name}.json" for name in names}
    return {
        name: str(json.loads(path.read_text())["artifact"])
        for name, path in found.items()
        if path.exists()
    }


def _rootfs(folder: Path) -> Sandbox:
    from rootfs.compose import Composer, bound, scratch
    from rootfs.enter import Sandbox

    composer, contents = Composer(folder, project.overlay), workspace()
    packages = list(trees().values())
    over = contents.lay_out(folder / "workspace")
    # The packages a second time: what the builds inside take for their root.
    seed = SelfRoot(System(over), project.store).tree.name
    points = folder / "points"
    for name in ("proc", "dev", "tmp", *(f"{CACHE}/{name}" for name in WRITABLE)):
        (points / name).mkdir(parents=True)
    (points / PROJECT / WORK).mkdir(parents=True)
    (over / PROJECT / WORK).mkdir(exist_ok=True)
    written = {name: fresh_folder(folder / name) for name in (*WRITABLE, WORK)}
    (written["trees"] / seed).mkdir()
    # The work directory inside is covered, and has the overrides all the same.
    shutil.copytree(over / PROJECT / WORK, written[WORK], dirs_exist_ok=True)
    mounts = [
        scratch("/tmp"),
        bound(f"/{PROJECT}/{WORK}", written[WORK], writable=True),
        *(bound(f"/{CACHE}/{name}", written[name], writable=True) for name in WRITABLE),
        composer.readonly(f"/{CACHE}/trees/{seed}", packages),
        *contents.bind_sources(over, ""),
    ]
    root = composer.readonly("/", [*packages, over, points])
    own = {"BQ2_CACHE": f"/{CACHE}", "BQ2_SEED": "self", "BQ2_OFFLINE": "1"}
    return Sandbox(folder, root, mounts, {"PATH": "/usr/bin", "HOME": "/tmp"} | own, nested=True)


def chosen() -> list[str]:
    """The packages to compile again: packages=, or all that image.json tells of."""
    product = project.plan.product
    for name in project.settings.packages:
        if name not in product:
            raise BuildError(f"there is no package {name!r}", hint=nearest(name, product))
    return project.settings.packages or list(product)


def _inside() -> None:
    system = project.system
    assert system is not None, "task_regenerate chose"
    names = chosen()
    differing = list[list[str]]()
    for step in _needed(names):
        builder = Builder(project, step)
        if step.name in names:
            builder.forget()
        elif builder.stands():
            continue
        builder.build()
        made = artifacts(project, [step])[step.task]
        if step.name in names and made != system.artifacts[step.name]:
            differing.append(_differs(system, step.name))
    say(f"{len(names) - len(differing)} of {len(names)} identical")
    for first, *more in differing:
        say("\n".join([f"  differs: {first}", *more]))
    project.exit_status = 1 if differing else 0


def _needed(names: list[str]) -> list[Step]:
    """The steps of `names` and of all that they depend on, in build order."""
    product = project.plan.product
    wanted = {*names, *(depend for name in names for depend in product[name].depends)}
    return [step for name, step in product.items() if name in wanted]


def _differs(system: System, name: str) -> list[str]:
    """Where the new tree of `name` first is not what this system holds, a line each."""
    from rootfs.difference import trees as differences

    old = system.tree([name], fresh_folder(project.workdir / "differing"))
    new = tree_of(project, project.plan.product[name])
    first = next(differences(old, new), None)
    if first is None:
        return [f"{name}: nothing but the packing"]
    return [f"{name}: {first.path}", *(f"    {line}" for line in first.lines[1:])]
