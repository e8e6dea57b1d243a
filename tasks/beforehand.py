"""What a command needs at its end is looked for before it begins: a build may take hours.

    reporter ──before the first task──▶ before_<command> in the command's module ──▶ BuildError

It is beside task_<command>, and only commands that need something have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from plan.errors import BuildError
from tasks import forecast
from tasks.commands import COMMANDS
from tasks.engine.products.products import image
from tasks.engine.project import Project


def check(project: Project, command: str, words: Sequence[str]) -> None:
    """Raise BuildError if `command`, with the arguments `words`, could not do its work."""
    if command in COMMANDS:
        before = getattr(import_module(COMMANDS[command]), f"before_{command}", None)
        if before:
            before(project, words)


def require_emulator(project: Project) -> None:
    """Raise BuildError if QEMU or the firmware for the target architecture is not installed."""
    from rootfs.vm.firmware import find_firmware, find_qemu

    arch = project.settings.arch
    find_firmware(arch, find_qemu(arch))


def require_own_machine(project: Project, what: str, hint: str) -> None:
    """Raise BuildError, with `hint`, if the product `what` is for another architecture."""
    machines = project.plan.machines
    if machines.crossed:
        raise BuildError(
            f"the {what} is for {machines.target.name}, and this machine is {machines.build.name}",
            hint=hint,
        )


def require_devices(project: Project) -> None:
    """Raise BuildError if a port is taken, a window has no display, or qemu-img is missing."""
    from rootfs.vm.devices import find_display, find_qemu_img, taken_port
    from rootfs.vm.firmware import find_qemu

    asked = project.settings
    if asked.screen:
        find_display(find_qemu(asked.arch))
    if asked.persist:
        find_qemu_img()
    if port := taken_port([here for here, _ in asked.ports]):
        hint = "choose another one, or end what listens there"
        raise BuildError(f"port {port} of this machine cannot be used", where="ports=", hint=hint)


def require_choice(project: Project) -> None:
    """Raise BuildError if there is no image, and the person did not say which one to build."""
    if project.settings.origin["set"] == "default" and not image(project).file.exists():
        raise BuildError("no image was built here yet", hint=forecast.choices(project))
