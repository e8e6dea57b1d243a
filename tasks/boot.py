"""boot: starts the image in QEMU, with its console on this terminal, or runs one command in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.actions import DoitTask, speaking
from tasks.beforehand import require_choice, require_devices, require_emulator
from tasks.console.console import say
from tasks.console.interrupt import terminal_taken
from tasks.engine.products.products import image
from tasks.engine.project import Project
from tasks.release import let_others_build

if TYPE_CHECKING:
    from rootfs.vm.entrance import Entrance
    from rootfs.vm.qemu import Machine

# In the work directory: what `ssh` needs of the machine that runs.
ENTRANCE = "ssh"


def task_boot(project: Project) -> DoitTask:
    """start the image in QEMU; run='COMMAND' runs one command and exits

    boot                      its serial console, on this terminal; Ctrl-] ends QEMU
    boot run=about            runs `about`, and ends with its exit status
    boot run=about timeout=30  gives it 30 minutes
    boot ports=8080:80        port 8080 of this machine leads to its port 80
    boot share=DIR            shows it a directory of this machine, as /share
    boot persist=1            keeps what it writes, in a file beside the image
    boot memory=2G cpus=2     sets its size
    boot screen=1             opens a window with its screen
    boot app=DIR ports=8080:80  a Crystal project as a machine
    """
    return {"task_dep": ["image"], "actions": [(speaking(_boot), [project])]}


def before_boot(project: Project, _words: Sequence[str]) -> None:
    """Raise BuildError without QEMU, its firmware, a free port, or an image to choose."""
    require_emulator(project)
    require_devices(project)
    require_choice(project)


def _boot(project: Project) -> None:
    from rootfs.vm import boot
    from rootfs.vm.entrance import opened

    # The machine may run for days: let other runs build meanwhile.
    let_others_build(project)
    disk, persist = _disk(project), project.settings.persist
    if project.settings.run:
        seconds = project.settings.command_limit or project.needs.image["command"]
        result = boot.run(
            disk, project.settings.run, as_asked(project), timeout_s=seconds, persist=persist
        )
        say(result.output.rstrip("\n"))
        project.exit_status = result.status
        return
    terminal_taken.set()
    try:
        with opened(project.workdir / ENTRANCE) as way:
            boot.boot(disk, entered(as_asked(project), way), persist=persist)
    finally:
        terminal_taken.clear()


def machine(project: Project, *, days_ahead: int = 0) -> Machine:
    """The emulated machine for the architecture of this run; its clock is `days_ahead`."""
    from rootfs.vm.qemu import Machine

    memory = project.needs.image["memory"]
    return Machine(
        project.settings.arch, memory_mib=memory, cache=project.cache, days_ahead=days_ahead
    )


def as_asked(project: Project) -> Machine:
    """`machine`, with what the parameters of `boot` change. It has a network card."""
    from rootfs.vm.devices import find_display
    from rootfs.vm.firmware import find_qemu

    asked, usual = project.settings, machine(project)
    return replace(
        usual,
        memory_mib=asked.memory or usual.memory_mib,
        cpus=asked.cpus,
        ports=asked.ports,
        share=asked.share,
        display=find_display(find_qemu(asked.arch)) if asked.screen else None,
    )


def _disk(project: Project) -> Path:
    """The image, or the file beside it that keeps what a machine changes of exactly this image."""
    from rootfs.vm.devices import make_overlay

    product = image(project)
    if not project.settings.persist:
        return product.file
    digest = product.parts()[product.file.name]
    kept = product.file.with_name(f"{product.file.stem}.changes-{digest[:12]}.qcow2")
    for other in sorted(product.file.parent.glob(f"{product.file.stem}.changes-*.qcow2")):
        if other != kept:
            say(f"{other} keeps the changes of another image, and is not used")
    if not kept.exists():
        make_overlay(kept, product.file)
    say(f"changes are kept in {kept}")
    return kept


def entered(machine: Machine, way: Entrance | None) -> Machine:
    """`machine` with what `way` needs: its port, and its key."""
    from rootfs.vm.entrance import CREDENTIAL, SSH_PORT

    if way is None:
        return machine
    known = ((CREDENTIAL, way.public_key),)
    return replace(machine, ports=(*(machine.ports or ()), (way.port, SSH_PORT)), files=known)
