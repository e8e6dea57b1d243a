"""QEMU's options for devices: disks on each bus, network cards, a screen, a shared directory.

Each is a PCI device or hangs on one, so the options are the same for all architectures.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from plan.errors import BuildError
from plan.outputs import unfinished
from rootfs.vm.firmware import file_format

# Bus of a disk → QEMU's devices. `{disk}` stands for the drive and its place in the boot order.
BUSES = {
    "virtio": ("virtio-blk-pci,{disk}",),
    "virtio-scsi": ("virtio-scsi-pci,id=scsi{drive}", "scsi-hd,bus=scsi{drive}.0,{disk}"),
    "sata": ("ahci,id=sata{drive}", "ide-hd,bus=sata{drive}.0,{disk}"),
    "nvme": ("nvme,serial={drive},{disk}",),
    "usb": ("qemu-xhci,id=usb{drive}", "usb-storage,bus=usb{drive}.0,{disk}"),
    "pvscsi": ("pvscsi,id=scsi{drive}", "scsi-hd,bus=scsi{drive}.0,{disk}"),
}
CARDS = ("virtio-net-pci", "e1000", "e1000e", "vmxnet3")
# What a directory of the host is called in the machine: plan/recipes/init/init looks for it.
SHARE = "share"
HERE = "127.0.0.1"
_DISPLAYS = ("gtk", "sdl")


def disk(bus: str, drive: str, *, place: int | None = None) -> list[str]:
    """The options that attach the drive `drive` to a `bus` of BUSES.

    place: its place in the firmware's boot order, from 0; None: it has none.
    """
    order = "" if place is None else f",bootindex={place}"
    given = {"drive": drive, "disk": f"drive={drive}{order}"}
    return [word for each in BUSES[bus] for word in ("-device", each.format(**given))]


def card(model: str, ports: tuple[tuple[int, int], ...]) -> list[str]:
    """A network card behind QEMU's own router. `ports` of this host (127.0.0.1) lead to its own.

    model: one of CARDS.
    """
    forwards = "".join(f",hostfwd=tcp:{HERE}:{here}-:{there}" for here, there in ports)
    return ["-netdev", f"user,id=net{forwards}", "-device", f"{model},netdev=net"]


def taken_port(ports: Sequence[int]) -> int | None:
    """The first of the TCP `ports` of this host at which nobody can listen now, or None."""
    for port in ports:
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind((HERE, port))
            except OSError:
                return port
    return None


def share(directory: Path) -> list[str]:
    """Shows a directory of the host by 9P. What the machine writes belongs to this user."""
    path = os.fspath(directory.absolute()).replace(",", ",,")
    return [
        *("-fsdev", f"local,id={SHARE},path={path},security_model=none"),
        *("-device", f"virtio-9p-pci,fsdev={SHARE},mount_tag={SHARE}"),
    ]


def screen(display: str) -> list[str]:
    """A window of the kind `display`, with a keyboard and a mouse."""
    devices = ("virtio-gpu-pci", "qemu-xhci,id=keys", "usb-kbd,bus=keys.0", "usb-tablet,bus=keys.0")
    argv = ["-display", display]
    for device in devices:
        argv += ["-device", device]
    return argv


def find_display(qemu: Path) -> str:
    """The kind of window that `qemu` can open here.

    Raises BuildError if this process has no display, or QEMU was built without windows.
    """
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        remedy = "run it in a graphical session, or without screen=1: its console is this terminal"
        raise BuildError("there is no display for screen=1", hint=remedy)
    said = subprocess.run(
        [qemu, "-display", "help"], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    known = said.stdout.decode(errors="replace").split()
    for display in _DISPLAYS:
        if display in known:
            return display
    remedy = "install its part for windows (Debian: qemu-system-gui)"
    raise BuildError("this QEMU opens no window", where=os.fspath(qemu), hint=remedy)


def find_qemu_img() -> str:
    """The path of qemu-img. Raises BuildError if it is missing."""
    program = shutil.which("qemu-img")
    if program is None:
        hint = "install it (Debian: qemu-utils), or do without persist=1"
        raise BuildError("qemu-img is missing", hint=hint)
    return program


def make_overlay(overlay: Path, image: Path) -> None:
    """Makes the empty disk `overlay` (qcow2), which keeps what a machine changes of `image`.

    image: in any format of `file_format`; the overlay names it relative to itself. Raises
    BuildError if qemu-img is missing or fails.
    """
    program = find_qemu_img()
    backing = os.path.relpath(image.absolute(), overlay.absolute().parent)
    kind = file_format(image)
    argv = [program, "create", "-q", "-f", "qcow2", "-F", kind, "-b", f"./{backing}"]
    part = unfinished(overlay.absolute())
    try:
        made = subprocess.run([*argv, os.fspath(part)], capture_output=True, text=True, check=False)
        if made.returncode:
            hint = made.stderr.strip()
            raise BuildError("the overlay cannot be made", where=os.fspath(overlay), hint=hint)
        part.replace(overlay)
    finally:
        part.unlink(missing_ok=True)
