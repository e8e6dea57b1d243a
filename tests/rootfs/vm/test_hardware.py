"""The project's own image on other machines: buses, cards, a screen, a share.

`BQ2_TEST_IMAGE` names the image, of x86_64. Its kernel must find the devices by itself.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rootfs.vm import boot, devices
from rootfs.vm.qemu import Machine

pytestmark = [pytest.mark.qemu, pytest.mark.slow]

MACHINE = Machine("x86_64", accel="tcg", cpus=1)
SECONDS = 300
# Bus → the driver of the controller, as the kernel names it below /sys.
DRIVERS = {
    "virtio": "virtio_blk",
    "virtio-scsi": "virtio_scsi",
    "sata": "ahci",
    "nvme": "nvme",
    "usb": "usb-storage",
    "pvscsi": "vmw_pvscsi",
}
CARDS = {"virtio-net-pci": "virtio_net", "e1000": "e1000", "e1000e": "e1000e", "vmxnet3": "vmxnet3"}
ABOVE = """
for each in /sys/class/%s; do
  each=$(readlink -f "$each")
  while [ "$each" != / ]; do
    [ -e "$each/driver" ] && basename "$(readlink -f "$each/driver")"
    each=$(dirname "$each")
  done
done
"""


def said(image: Path, machine: Machine, command: str) -> str:
    result = boot.run(image, command, machine, timeout_s=SECONDS)
    assert (result.status, result.powered_off) == (0, True), result.output
    return result.output


def test_the_lists_are_whole() -> None:
    assert (*DRIVERS,) == (*devices.BUSES,)
    assert (*CARDS,) == devices.CARDS


# Not every build of OVMF reads a disk at pvscsi, so another test tries its driver.
@pytest.mark.parametrize("bus", [bus for bus in DRIVERS if bus != "pvscsi"])
def test_a_disk_on_each_bus(real_image: Path, bus: str) -> None:
    machine = replace(MACHINE, disk=bus)
    # USB needs a moment.
    command = f"sleep 2\n{ABOVE % 'block/*'}\nblkid"
    output = said(real_image, machine, command)
    assert DRIVERS[bus] in output.split()
    assert 'TYPE="vfat"' in output


def test_the_controller_of_vmware(real_image: Path) -> None:
    machine = replace(MACHINE, more=("-device", "pvscsi"))
    assert "0000:" in said(real_image, machine, f"ls /sys/bus/pci/drivers/{DRIVERS['pvscsi']}")


@pytest.mark.parametrize("card", CARDS)
def test_each_card(real_image: Path, card: str) -> None:
    output = said(real_image, replace(MACHINE, card=card, ports=()), ABOVE % "net/eth0")
    assert CARDS[card] in output.split()


@pytest.mark.parametrize("screen", ["VGA", "virtio-vga", "virtio-gpu-pci"])
def test_a_text_console_on_a_screen(real_image: Path, screen: str) -> None:
    command = "dmesg | grep 'frame buffer'; cat /sys/class/tty/console/active"
    output = said(real_image, replace(MACHINE, more=("-device", screen)), command)
    assert "switching to colour frame buffer device" in output
    assert "tty0" in output


def test_a_share(real_image: Path, tmp_path: Path) -> None:
    (tmp_path / "hello").write_text("from the host\n")
    machine = replace(MACHINE, share=tmp_path)
    assert (
        said(real_image, machine, "cat /share/hello; echo back > /share/answer")
        == "from the host\n"
    )
    assert (tmp_path / "answer").read_text() == "back\n"
