"""plan/recipes/init/lib/bootpath.awk: which disk the firmware's boot option leads to."""

from __future__ import annotations

import re
import struct

import pytest

from tests.machine.conftest import Run

pytestmark = pytest.mark.namespace

PCI_ROOT = (2, 1, struct.pack("<II", 0x0A0341D0, 0))  # ACPI: PNP0A03
END = (0x7F, 0xFF, b"")
DEVICES = "/sys/devices/pci0000:00/"


def pci(device: int, function: int = 0) -> tuple[int, int, bytes]:
    return 1, 1, bytes((function, device))


def option(*nodes: tuple[int, int, bytes], description: str = "UEFI Ā disk") -> bytes:
    """EFI_LOAD_OPTION (UEFI 2.10, 3.1.3), after the four bytes that efivarfs puts before it."""
    path = b"".join(struct.pack("<BBH", a, b, 4 + len(data)) + data for a, b, data in nodes)
    start = struct.pack("<IIH", 7, 1, len(path))
    return start + description.encode("utf-16-le") + b"\0\0" + path + b"optional \x01\x01 data"


def told(run: Run, variable: bytes) -> list[str]:
    """What the machine's own awk makes of the variable."""
    script = f"echo {variable.hex()} | awk -f /usr/lib/init/bootpath.awk"
    done = run(script)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.mark.parametrize(
    ("nodes", "port", "disk", "others"),
    [
        (
            [pci(0x1F, 2)],
            "-",
            "0000:00:1f.2/virtio0/block/vda/vda2",
            ["0000:00:1f.3/virtio0/block/vdb/vdb2", "0000:00:02.0/virtio0/block/vdb/vdb2"],
        ),
        (
            [pci(2, 1), pci(0)],
            "-",
            "0000:00:02.1/0000:01:00.0/nvme/nvme0/nvme0n1/nvme0n1p2",
            ["0000:00:02.2/0000:02:00.0/nvme/nvme1/nvme1n1/nvme1n1p2"],
        ),
        (
            [pci(3), (3, 2, struct.pack("<HH", 1, 12))],
            "-",
            "0000:00:03.0/virtio1/host0/target0:0:1/0:0:1:12/block/sda/sda2",
            ["0000:00:03.0/virtio1/host0/target0:0:0/0:0:0:12/block/sda/sda2"],
        ),
        (
            [pci(0x1F, 2), (3, 0x12, struct.pack("<HHH", 4, 0xFFFF, 0))],
            "5",
            "0000:00:1f.2/ata5/host4/target4:0:0/4:0:0:0/block/sda/sda2",
            [],
        ),
    ],
)
def test_the_path_of_the_disk(
    run: Run, nodes: list[tuple[int, int, bytes]], port: str, disk: str, others: list[str]
) -> None:
    path, found = told(run, option(PCI_ROOT, *nodes, END))
    assert found == port
    assert re.search(path, DEVICES + disk)
    for other in others:
        assert not re.search(path, DEVICES + other)


@pytest.mark.parametrize(
    "variable",
    [
        b"",
        b"\7\0\0\0",
        option(END),
        option((4, 1, bytes(38)), END),  # a partition by its GUID, which copies share
        option((1, 4, bytes(16)), END),  # a device of the firmware's vendor
        option((1, 1, b""))[:-10],
        struct.pack("<IIH", 7, 1, 9) + b"\1\1" * 50,  # a description without an end
    ],
)
def test_an_option_that_names_no_disk_of_pci(run: Run, variable: bytes) -> None:
    assert told(run, variable) == []
