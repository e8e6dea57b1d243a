"""boot: starts the image in QEMU, with its console on this terminal, or runs one command in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tasks.actions import DoitTask, speaking
from tasks.beforehand import require_choice, require_emulator
from tasks.console.console import say
from tasks.console.interrupt import terminal_taken
from tasks.engine.products import image
from tasks.engine.project import Project

if TYPE_CHECKING:
    from rootfs.vm.entrance import Entrance
    from rootfs.vm.qemu import Machine

# In the work directory: what `ssh` needs of the machine that runs.
ENTRANCE = "ssh"


def task_boot(project: Project) -> DoitTask:
    """start the image in QEMU; run='COMMAND' runs one command and exits

    boot                      its serial console, on this terminal; Ctrl-] ends QEMU
    boot run=about            runs `about`, and ends with its exit status
    """
    return {"task_dep": ["image"], "actions": [(speaking(_boot), [project])]}


def before_boot(project: Project, _words: Sequence[str]) -> None:
    """Raise BuildError without QEMU, its firmware, or an image to choose."""
    require_emulator(project)
    require_choice(project)


def _boot(project: Project) -> None:
    from rootfs.vm import boot
    from rootfs.vm.entrance import opened

    # The machine may run for days: let other runs build meanwhile.
    project.lock.release()
    if project.settings.run:
        seconds = project.needs.image["command"]
        result = boot.run(
            image(project).file, project.settings.run, machine(project), timeout_s=seconds
        )
        say(result.output.rstrip("\n"))
        project.exit_status = result.status
        return
    terminal_taken.set()
    try:
        with opened(project.workdir / ENTRANCE) as way:
            boot.boot(image(project).file, entered(machine(project), way))
    finally:
        terminal_taken.clear()


def machine(project: Project, *, days_ahead: int = 0) -> Machine:
    """The emulated machine for the architecture of this run; its clock is `days_ahead`."""
    from rootfs.vm.qemu import Machine

    memory = project.needs.image["memory"]
    return Machine(
        project.settings.arch, memory_mib=memory, cache=project.cache, days_ahead=days_ahead
    )


def entered(machine: Machine, way: Entrance | None) -> Machine:
    """`machine` with a network card, and with what `way` needs: its port, and its key."""
    from rootfs.vm.entrance import CREDENTIAL, SSH_PORT

    if way is None:
        return replace(machine, ports=())
    known = ((CREDENTIAL, way.public_key),)
    return replace(machine, ports=((way.port, SSH_PORT),), files=known)
