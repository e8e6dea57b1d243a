"""shell: opens a shell in the sandbox of a build, with the same paths and environment.

doit shell            the seed, the first root
doit shell sysroot    the composed tree of the first phase
doit shell rootfs     the composed tree of the second phase
doit shell pkg:NAME   the build of one package: the failed build, or a new one that is ready to
                      start, with its patches; in the last phase, or phase=sysroot-from-seed,
                      or doit shell sysroot-from-seed:NAME

`network=yes` gives the shell the network of this machine, and says so in its prompt. No build has
one: what is kept of a build for its next run does not name the network.

Edits below /source are kept apart from the files that the build wrote there; `doit patch` turns
them into a patch.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from plan.compiling import toolchain
from plan.errors import BuildError
from plan.model import Command
from plan.typed import typed
from tasks.actions import DoitTask, speaking
from tasks.beforehand import require_own_machine
from tasks.console.console import say
from tasks.console.interrupt import terminal_taken
from tasks.engine.builder import Builder, tree_of
from tasks.engine.no_such import no_such
from tasks.engine.project import Project
from tasks.engine.stamps import artifacts

if TYPE_CHECKING:
    from rootfs.sandbox.enter import Sandbox


OFFLINE = "exec sh -i"
# A prompt of POSIX: the shell replaces the variable each time.
ONLINE = "PS1='network:$PWD # '; export PS1; exec sh -i"


def task_shell(project: Project) -> DoitTask:
    """open a shell in the seed, sysroot, rootfs or pkg:NAME; run='COMMAND', network=yes

    shell                     the seed
    shell rootfs              the product of the second phase
    shell pkg:zlib            its failed build, or a new one that is ready to start
    shell pkg:zlib run='make test'
    shell network=yes         with the machine's network, which no build has
    """
    return {
        "actions": [(speaking(_shell), [project])],
        "pos_arg": "targets",
        "task_dep": ["seed"],
    }


def _shell(project: Project, targets: list[str]) -> None:
    from rootfs.sandbox.enter import enter
    from rootfs.sandbox.online import root_online

    target = (targets or ["seed"])[0]
    place = _place(project, target)
    run = project.settings.run
    online = root_online(place, overlay=project.overlay) if project.settings.network else None
    commands = [Command(("sh", "-c", run or (ONLINE if online else OFFLINE)), "/")]
    if not run:
        kept = "only /source, /build and /dest keep" if ":" in target else "nothing keeps"
        say(f"{target}: leave with `exit`; {kept} what is written")
        if online:
            say("this shell has the network of this machine; no build has one")
    terminal_taken.set()
    try:
        results = enter(place, commands, log=None, interactive=not run, online=online)
        project.exit_status = results[-1].status if run else 0
    finally:
        terminal_taken.clear()


def _place(project: Project, target: str) -> Sandbox:
    directory = project.workdir / "shell" / target.replace(":", "-")
    if target == "seed":
        return _plain(project, [project.seed.tree], directory, project.tools.compiler)
    composed = {phase.split("-")[0]: phase for phase in project.plan.phases}
    if target in composed:
        return _composed(project, target, composed[target], directory)
    return _build_of(project, named_build(project, target, ["seed", *composed]))


def named_build(project: Project, target: str, others: Sequence[str] = ()) -> Builder:
    """The build that `target` and `phase=` name. Raises BuildError if there is none.

    `others`: other valid targets, for the hint.
    """
    phase = project.settings.phase
    steps = [step for step in project.plan.steps if phase in ("", step.phase)]
    builds = {f"pkg:{step.name}": step for step in steps} | {step.task: step for step in steps}
    if target not in builds:
        told = f" in the phase {phase}" if phase else ""
        told = f"there is no build or tree called {target!r}{told}"
        raise no_such(project, target, [*others, *builds], told=told)
    return Builder(project, builds[target])


def _composed(project: Project, name: str, phase: str, directory: Path) -> Sandbox:
    if phase == project.plan.set.phase:
        require_own_machine(project, name, f"{typed('boot run=COMMAND')} runs it in QEMU")
    steps = project.plan.phases[phase].values()
    if len(artifacts(project, steps)) < len(steps):
        raise BuildError(f"the {name} is not built yet", hint=typed(phase))
    return _plain(project, [tree_of(project, step) for step in steps], directory, None)


def before_shell(project: Project, words: Sequence[str]) -> None:
    """Raise BuildError if the target does not exist, or nothing can give commands to the shell."""
    trees = ["seed", *(phase.split("-")[0] for phase in project.plan.phases)]
    if len(words) > 1:
        command = shlex.quote(" ".join(words[1:]))
        hint = f"{typed(f'shell {words[0]}')} run={command} runs a command in it"
        raise BuildError(f"shell takes one name, not {' '.join(words)}", hint=hint)
    if words and words[0] not in trees:
        named_build(project, words[0], trees)
    # A pipe or a file may hold commands; /dev/null and the like hold none.
    if not project.settings.run and not os.isatty(0) and stat.S_ISCHR(os.fstat(0).st_mode):
        hint = "run='COMMAND' runs one command in it"
        raise BuildError("there is no terminal for a shell", hint=hint)


def _plain(
    project: Project, layers: list[Path], directory: Path, compiler: toolchain.Compiler | None
) -> Sandbox:
    """The composed `layers` as a root, with only scratch directories added.

    compiler: None if it is our own.
    """
    from rootfs.archives.files import fresh_directory
    from rootfs.sandbox.compose import Composer, scratch
    from rootfs.sandbox.enter import Sandbox

    composer = Composer(fresh_directory(directory), project.overlay)
    points = directory / "points"
    for name in ("proc", "dev", "tmp", "root"):
        (points / name).mkdir(parents=True)
    root = composer.readonly("/", [*layers, points])
    path = toolchain.search_path(compiler or toolchain.own_compiler(project.plan.recipes))
    environment = {"PATH": path, "HOME": "/root", "TERM": "linux"}
    return Sandbox(directory, root, [scratch("/tmp"), scratch("/root")], environment)


def _build_of(project: Project, builder: Builder) -> Sandbox:
    from rootfs.sandbox.edits import for_a_person
    from rootfs.sandbox.resume import kept_sandbox, unmark
    from rootfs.sandbox.step import apply_patches

    if (builder.directory / "sandbox.json").exists():
        log = builder.directory / "log"
        left = f"its run left it; log: {log}" if log.exists() else "the last shell left it"
        say(f"the build of {builder.step.name} as {left}")
        unmark(builder.directory)
        project.jobs  # noqa: B018  the pipe that its make processes look for
        return for_a_person(kept_sandbox(builder.directory))
    if builder.step_id() is None:
        raise BuildError(
            f"the dependencies of {builder.step.name} are not built yet",
            hint=typed(builder.step.task),
        )
    place, log = builder.prepare(), builder.directory / "patch.log"
    if wrong := apply_patches(builder.step, place, log):
        say(f"{wrong} does not apply: /source has the patches before it; log: {log}")
    return for_a_person(place)
