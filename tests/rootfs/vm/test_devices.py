"""The devices of QEMU's command line: taken by a real QEMU, and what is missing is said."""

from __future__ import annotations

import os
import shutil
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from plan.errors import BuildError
from rootfs.vm import devices
from rootfs.vm.guest_console import End, Program, listen
from rootfs.vm.qemu import Machine, find_emulator
from tests.rootfs import efi_guest
from tests.rootfs.tools import tool

MACHINE = Machine("x86_64", accel="tcg", cpus=1)


def started(disk: Path, machine: Machine) -> tuple[End, str]:
    """How the guest on `disk`, which says "type:", is started; and QEMU's complaints."""
    heard = bytearray()

    def said(data: bytes) -> bool:
        heard.extend(data)
        return b"type:" in heard

    with Program(find_emulator(machine).command(image=disk)) as program:
        end = listen(program, said, seconds=300)
        return end, program.complaints.decode()


@pytest.mark.qemu
@pytest.mark.slow
# Not every build of OVMF reads a disk at pvscsi.
@pytest.mark.parametrize("bus", [bus for bus in devices.BUSES if bus != "pvscsi"])
def test_the_firmware_starts_a_disk_on_each_bus(tmp_path: Path, bus: str) -> None:
    disk = efi_guest.disk(tmp_path / "disk.img", b"type:", "echo")
    assert started(disk, replace(MACHINE, disk=bus)) == (End.ENOUGH, "")


@pytest.mark.qemu
@pytest.mark.slow
@pytest.mark.parametrize("card", devices.CARDS)
def test_qemu_has_each_card(tmp_path: Path, free_port: int, card: str) -> None:
    disk = efi_guest.disk(tmp_path / "disk.img", b"type:", "echo")
    machine = replace(MACHINE, card=card, ports=((free_port, 80),))
    assert started(disk, machine) == (End.ENOUGH, "")


@pytest.mark.qemu
def test_a_machine_with_a_share_and_a_forward(tmp_path: Path, free_port: int) -> None:
    disk = efi_guest.disk(tmp_path / "disk.img", b"type:", "echo")
    (tmp_path / "a,b").mkdir()
    machine = replace(MACHINE, share=tmp_path / "a,b", ports=((free_port, 80),))
    assert started(disk, machine) == (End.ENOUGH, "")


def test_the_first_disk_is_booted_from() -> None:
    assert devices.disk("sata", "one", place=0) == [
        *("-device", "ahci,id=sataone"),
        *("-device", "ide-hd,bus=sataone.0,drive=one,bootindex=0"),
    ]
    assert devices.disk("virtio", "two") == ["-device", "virtio-blk-pci,drive=two"]


def test_a_taken_port_is_found(free_port: int) -> None:
    with socket.socket() as taken:
        taken.bind((devices.HERE, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert devices.taken_port([free_port, port]) == port
        assert devices.taken_port([free_port]) is None


@pytest.mark.fault("`./bq2 boot screen=1` without a display", "it says so, and what to do")
def test_no_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    qemu = tmp_path / "qemu"
    qemu.write_text("#!/bin/sh\nprintf 'Available display backend types:\\nnone\\ndbus\\n'\n")
    qemu.chmod(0o755)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(BuildError, match="no display for screen=1"):
        devices.find_display(qemu)
    monkeypatch.setenv("DISPLAY", ":0")
    with pytest.raises(BuildError, match="opens no window") as caught:
        devices.find_display(qemu)
    assert "qemu-system-gui" in str(caught.value.hint)
    qemu.write_text("#!/bin/sh\nprintf 'Available display backend types:\\nnone\\ngtk\\n'\n")
    assert devices.find_display(qemu) == "gtk"


@pytest.mark.skipif(not shutil.which("qemu-img"), reason="qemu-img is missing")
def test_an_overlay_keeps_changes_and_moves_with_its_image(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    image = tmp_path / "a/nbd:image.qcow2"
    tool("qemu-img", "create", "-q", "-f", "qcow2", f"./{image.name}", "1M", cwd=image.parent)
    before = image.read_bytes()
    overlay = tmp_path / "a/changes.qcow2"
    devices.make_overlay(overlay, image)
    (tmp_path / "a").rename(tmp_path / "b")
    tool("qemu-io", "-c", "write -P 7 0 64k", os.fspath(tmp_path / "b/changes.qcow2"))
    assert (tmp_path / "b" / image.name).read_bytes() == before
    tool("qemu-io", "-c", "read -P 7 0 64k", os.fspath(tmp_path / "b/changes.qcow2"))


@pytest.mark.fault("`./bq2 boot persist=1` with an image of another format", "its overlay is made")
@pytest.mark.skipif(not shutil.which("qemu-img"), reason="qemu-img is missing")
@pytest.mark.parametrize("kind", ["raw", "vmdk", "vdi", "vpc"])
def test_an_overlay_of_an_image_of_any_format(tmp_path: Path, kind: str) -> None:
    image, overlay = tmp_path / "image", tmp_path / "changes.qcow2"
    more = ("-o", "subformat=fixed") if kind == "vpc" else ()
    tool("qemu-img", "create", "-q", "-f", kind, *more, image, "1M")
    devices.make_overlay(overlay, image)
    assert f"backing file format: {kind}" in tool("qemu-img", "info", overlay)
    tool("qemu-io", "-c", "read -P 0 0 64k", overlay)


def test_no_overlay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "image").touch()
    if shutil.which("qemu-img"):
        with pytest.raises(BuildError, match="the overlay cannot be made") as caught:
            devices.make_overlay(tmp_path / "no/changes", tmp_path / "image")
        assert "No such file" in str(caught.value.hint)
        assert caught.value.where == f"{tmp_path}/no/changes"
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BuildError, match="qemu-img is missing"):
        devices.make_overlay(tmp_path / "changes", tmp_path / "image")
    assert [each.name for each in tmp_path.iterdir()] == ["image"]


@pytest.mark.fault(
    "`./bq2 boot persist=1` is interrupted while it makes the overlay, or the disk is full",
    "no half-made overlay is used later",
)
def test_a_half_made_overlay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "image").write_bytes(bytes(1 << 20))
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "qemu-img"
    program.write_text('#!/bin/sh\nfor last; do :; done\necho half > "$last"\nexit 1\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    with pytest.raises(BuildError, match="the overlay cannot be made"):
        devices.make_overlay(tmp_path / "changes", tmp_path / "image")
    assert {each.name for each in tmp_path.iterdir()} == {"image", "bin"}
