"""The project's own image on other machines: buses, cards, a screen, a share.

`BQ2_TEST_IMAGE` names the image. The end of its name says the architecture, otherwise it is one of
x86_64. Its kernel must find the devices by itself.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rootfs.vm import boot, devices
from rootfs.vm.qemu import Machine

pytestmark = [pytest.mark.qemu, pytest.mark.slow]

SECONDS = 300
STARTS = 30
# Bus → the driver of the controller, as the kernel names it below /sys.
DRIVERS = {
    "virtio": "virtio_blk",
    "virtio-scsi": "virtio_scsi",
    "sata": "ahci",
    "nvme": "nvme",
    "usb": "usb-storage",
    "pvscsi": "vmw_pvscsi",
}
# Buses from which Debian's firmware starts no disk: the device with which their driver is tried.
ALONE = {"x86_64": {"pvscsi": "pvscsi"}, "aarch64": {"sata": "ahci"}}
# Buses that machines of the architecture do not have.
ABSENT = {"x86_64": (), "aarch64": ("pvscsi",)}
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


# What each architecture's firmware shows a picture on.
SCREENS = {
    "x86_64": ("VGA", "virtio-vga", "virtio-gpu-pci"),
    "aarch64": ("ramfb", "virtio-gpu-pci"),
}


@pytest.fixture
def machine(real_image: Path) -> Machine:
    """A machine of the image's architecture."""
    named = real_image.stem.rpartition("-")[2]
    return Machine(named if named in SCREENS else "x86_64", accel="tcg", cpus=1)


def said(image: Path, machine: Machine, command: str) -> str:
    result = boot.run(image, command, machine, timeout_s=SECONDS)
    assert (result.status, result.powered_off) == (0, True), result.output
    return result.output


def test_the_lists_are_whole() -> None:
    assert (*DRIVERS,) == (*devices.BUSES,)
    assert (*CARDS,) == devices.CARDS


@pytest.mark.parametrize("bus", DRIVERS)
def test_a_disk_on_each_bus(real_image: Path, machine: Machine, bus: str) -> None:
    if bus in ALONE[machine.arch] or bus in ABSENT[machine.arch]:
        pytest.skip(f"{bus}: no disk that the firmware reads on {machine.arch}")
    machine = replace(machine, disk=bus)
    # USB needs a moment.
    command = f"sleep 2\n{ABOVE % 'block/*'}\nblkid"
    output = said(real_image, machine, command)
    assert DRIVERS[bus] in output.split()
    assert 'TYPE="vfat"' in output


def test_a_controller_that_the_firmware_does_not_read(real_image: Path, machine: Machine) -> None:
    for bus, device in ALONE[machine.arch].items():
        command = f"ls /sys/bus/pci/drivers/{DRIVERS[bus]}"
        assert "0000:" in said(real_image, replace(machine, more=("-device", device)), command)


@pytest.mark.parametrize("card", CARDS)
def test_each_card(real_image: Path, machine: Machine, card: str) -> None:
    output = said(real_image, replace(machine, card=card, ports=()), ABOVE % "net/eth0")
    assert CARDS[card] in output.split()


@pytest.mark.parametrize("screen", sorted({each for all_of in SCREENS.values() for each in all_of}))
def test_a_text_console_on_a_screen(real_image: Path, machine: Machine, screen: str) -> None:
    if screen not in SCREENS[machine.arch]:
        pytest.skip(f"{screen}: not on {machine.arch}")
    command = "dmesg | grep 'frame buffer'; cat /sys/class/tty/console/active"
    output = said(real_image, replace(machine, more=("-device", screen)), command)
    assert "switching to colour frame buffer device" in output
    assert "tty0" in output


@pytest.mark.timeout(STARTS * SECONDS)
def test_it_comes_up_each_time(real_image: Path, machine: Machine) -> None:
    for _ in range(STARTS):
        assert said(real_image, machine, "echo $((6 * 7))") == "42\n"


def test_a_share(real_image: Path, machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "hello").write_text("from the host\n")
    machine = replace(machine, share=tmp_path)
    assert (
        said(real_image, machine, "cat /share/hello; echo back > /share/answer")
        == "from the host\n"
    )
    assert (tmp_path / "answer").read_text() == "back\n"
