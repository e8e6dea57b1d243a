"""shell: a shell where the builds run. The same sandbox, the same paths, the same environment.

doit shell            the seed, the first root
doit shell sysroot    the composed tree of what is built
doit shell pkg:NAME   the build of one package: as it failed, or made ready anew
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plan import toolchain
from plan.errors import BuildError, nearest
from plan.model import Command
from tasks.builder import Builder, artifacts, tree_of
from tasks.console import say, speaking
from tasks.interrupt import terminal_taken
from tasks.project import project

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
        return _plain([project.seed.tree], folder)
    if target == "sysroot":
        if artifacts(project).keys() != project.plan.steps.keys():
            raise BuildError("the sysroot is not built yet", hint="doit pkg")
        return _plain([tree_of(project, name) for name in project.plan.steps], folder)
    known = [f"pkg:{name}" for name in project.plan.steps]
    if target not in known:
        raise BuildError(
            f"there is nothing called {target!r} to enter",
            hint=nearest(target, ["seed", "sysroot", *known]),
        )
    return _build_of(Builder(project, project.plan.steps[target.removeprefix("pkg:")]))


def _plain(layers: list[Path], folder: Path) -> Sandbox:
    """The composed `layers` as a root, with scratch places and nothing else."""
    from rootfs.compose import Composer, scratch
    from rootfs.enter import Sandbox
    from rootfs.files import fresh_folder

    composer = Composer(fresh_folder(folder), project.overlay)
    points = folder / "points"
    for name in ("proc", "dev", "tmp", "root"):
        (points / name).mkdir(parents=True)
    root = composer.readonly("/", [*layers, points])
    path = toolchain.search_path(toolchain.DEBIAN)
    environment = {"PATH": path, "HOME": "/root", "TERM": "linux"}
    return Sandbox(folder, root, [scratch("/tmp"), scratch("/root")], environment)


def _build_of(builder: Builder) -> Sandbox:
    from rootfs.enter import Sandbox

    spec_file = builder.folder / "sandbox.json"
    if spec_file.exists():
        spec: Mapping[str, Any] = json.loads(spec_file.read_text())
        say(f"the build of {builder.step.name} as it was left; its log: {builder.folder}/log")
        # The spec names the commands that failed; the shell needs the place alone.
        return Sandbox(builder.folder, spec["root"], spec["mounts"], spec["environment"])
    if builder.step_id() is None:
        raise BuildError(
            f"the dependencies of {builder.step.name} are not built yet",
            hint=f"doit pkg:{builder.step.name}",
        )
    place: Sandbox = builder.prepare()
    return place
