"""shell: a shell where the builds run. The same sandbox, the same paths, the same environment.

doit shell            the seed, the first root
doit shell sysroot    the composed tree of what the first phase built
doit shell rootfs     the same of the second
doit shell pkg:NAME   the build of one package: as it failed, or made ready anew; in the last phase,
                      unless the phase is named: phase=sysroot-from-seed, or
                      doit shell sysroot-from-seed:NAME

What is edited below /source is kept apart from what the build wrote there; `doit patch` makes a
patch of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plan import toolchain
from plan.errors import BuildError, nearest
from plan.model import Command
from tasks.builder import Builder, tree_of
from tasks.console import say, speaking
from tasks.interrupt import terminal_taken
from tasks.project import project
from tasks.stamps import artifacts

if TYPE_CHECKING:
    from rootfs.enter import Sandbox


def task_shell() -> dict[str, Any]:
    """enter the seed, `sysroot`, or the build of `pkg:NAME`; run='COMMAND' runs one command"""
    return {
        "actions": [(speaking(_shell),)],
        "pos_arg": "targets",
        "task_dep": ["seed"],
    }


def _shell(targets: list[str]) -> None:
    from rootfs.enter import enter

    target = (targets or ["seed"])[0]
    place = _place(target)
    run = project.settings.run
    commands = [Command(("sh", "-c", run) if run else ("sh", "-i"), "/")]
    if not run:
        kept = "only /source, /build and /dest keep" if ":" in target else "nothing keeps"
        say(f"{target}: leave with `exit`; {kept} what is written")
    terminal_taken.set()
    try:
        results = enter(place, commands, log=None, interactive=not run)
        project.exit_status = results[-1].status if run else 0
    finally:
        terminal_taken.clear()


def _place(target: str) -> Sandbox:
    folder = project.workdir / "shell" / target.replace(":", "-")
    if target == "seed":
        return _plain([project.seed.tree], folder, project.tools.compiler)
    composed = {phase.split("-")[0]: phase for phase in project.plan.phases}
    if target in composed:
        return _composed(target, composed[target], folder)
    return _build_of(named_build(target, ["seed", *composed]))


def named_build(target: str, others: Sequence[str] = ()) -> Builder:
    """The build that `target` names, with `phase=`. Raises BuildError if there is none.

    `others`: what could have been meant besides.
    """
    phase = project.settings.phase
    steps = [step for step in project.plan.steps if phase in ("", step.phase)]
    builds = {f"pkg:{step.name}": step for step in steps} | {step.task: step for step in steps}
    if target not in builds:
        told = f" in the phase {phase}" if phase else ""
        raise BuildError(
            f"there is no build or place called {target!r}{told}",
            hint=nearest(target, [*others, *builds]),
        )
    return Builder(project, builds[target])


def _composed(name: str, phase: str, folder: Path) -> Sandbox:
    machines = project.plan.machines
    if machines.crossed and phase == project.plan.set.phase:
        raise BuildError(
            f"the {name} is for {machines.target.name}, and this machine is {machines.build.name}",
            hint="doit boot run=COMMAND runs it in QEMU",
        )
    steps = project.plan.phases[phase].values()
    if len(artifacts(project, steps)) < len(steps):
        raise BuildError(f"the {name} is not built yet", hint=f"doit {phase}")
    return _plain([tree_of(project, step) for step in steps], folder, toolchain.OWN)


def _plain(layers: list[Path], folder: Path, compiler: toolchain.Compiler) -> Sandbox:
    """The composed `layers` as a root, with scratch places and nothing else."""
    from rootfs.compose import Composer, scratch
    from rootfs.enter import Sandbox
    from rootfs.files import fresh_folder

    composer = Composer(fresh_folder(folder), project.overlay)
    points = folder / "points"
    for name in ("proc", "dev", "tmp", "root"):
        (points / name).mkdir(parents=True)
    root = composer.readonly("/", [*layers, points])
    path = toolchain.search_path(compiler)
    environment = {"PATH": path, "HOME": "/root", "TERM": "linux"}
    return Sandbox(folder, root, [scratch("/tmp"), scratch("/root")], environment)


def _build_of(builder: Builder) -> Sandbox:
    from rootfs.edits import for_a_person
    from rootfs.resume import kept_sandbox, unmark

    if (builder.folder / "sandbox.json").exists():
        say(f"the build of {builder.step.name} as it was left; its log: {builder.folder}/log")
        unmark(builder.folder)
        project.jobs  # noqa: B018  the pipe that its makes will look for
        return for_a_person(kept_sandbox(builder.folder))
    if builder.step_id() is None:
        raise BuildError(
            f"the dependencies of {builder.step.name} are not built yet",
            hint=f"doit {builder.step.task}",
        )
    return for_a_person(builder.prepare())
