"""boot: start the image in QEMU, with its console on this terminal, or run one command in it."""

from __future__ import annotations

from typing import Any

from tasks.console import say, speaking
from tasks.interrupt import terminal_taken
from tasks.products import image
from tasks.project import project


def task_boot() -> dict[str, Any]:
    """start the image in QEMU; run='COMMAND' runs one command in it and gives its status"""
    return {"task_dep": ["image"], "actions": [(speaking(_boot),)]}


def _boot() -> None:
    from rootfs import vm

    # The machine may run for days: others can build meanwhile.
    project.lock.release()
    if project.settings.run:
        # A command for a machine with a compiler may be a build.
        seconds = 3600 if project.plan.set.root else 120
        result = vm.run(image.file, project.settings.run, machine(), timeout_s=seconds)
        say(result.output.rstrip("\n"))
        project.exit_status = result.status
        return
    terminal_taken.set()
    try:
        vm.boot(image.file, machine())
    finally:
        terminal_taken.clear()


def machine(*, days_ahead: int = 0) -> Any:
    """The emulated machine for the architecture of this run; its clock may be ahead."""
    from cache import paths
    from rootfs.qemu import Machine

    # A compiler wants more memory than a shell does.
    memory = 3072 if project.plan.set.root else 512
    return Machine(
        project.settings.arch, memory_mib=memory, cache=paths.root(), days_ahead=days_ahead
    )
