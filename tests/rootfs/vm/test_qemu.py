"""QEMU's command line, and the verdict on KVM: from a real QEMU, stored, and used."""

from __future__ import annotations

import itertools
import json
import os
import platform
from pathlib import Path

import pytest

from plan.errors import BuildError
from rootfs.vm.firmware import Firmware, Flash
from rootfs.vm.qemu import Emulator, Machine, distrust_kvm, find_emulator

FIRMWARE = Firmware(Flash(Path("/fw/c,ode.fd"), "raw"), Flash(Path("/fw/vars.qcow2"), "qcow2"))


def options(argv: list[str], name: str) -> list[str]:
    return [value for option, value in itertools.pairwise(argv) if option == name]


def emulator(**machine: object) -> Emulator:
    settings = {"arch": "x86_64", "cpus": 3, **machine}
    return Emulator(Machine(**settings), Path("/bin/qemu"), FIRMWARE, "tcg")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("magic", "form"), [(b"QFI\xfb", "qcow2"), (b"\0\0\0\0", "raw"), (b"", "raw")]
)
def test_nothing_is_written_to_unless_asked(tmp_path: Path, magic: bytes, form: str) -> None:
    image = tmp_path / "a,b.img"
    image.write_bytes(magic)
    path = str(image).replace(",", ",,")
    drives = options(emulator().command(image=image), "-drive")
    assert drives == [
        "if=pflash,format=raw,readonly=on,file=/fw/c,,ode.fd",
        "if=pflash,format=qcow2,snapshot=on,file=/fw/vars.qcow2",
        f"if=none,id=disk,format={form},file={path},snapshot=on",
    ]
    kept = options(emulator().command(image=image, persist=True), "-drive")
    assert kept == [*drives[:2], f"if=none,id=disk,format={form},file={path}"]


def test_a_relative_path_is_no_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("nbd:host").touch()
    drive = options(emulator().command(image=Path("nbd:host")), "-drive")[-1]
    assert f"file={tmp_path}/nbd:host," in drive


def test_firmware_in_one_file() -> None:
    alone = Emulator(Machine("x86_64"), Path("/q"), Firmware(FIRMWARE.code, None), "tcg")
    drives = options(alone.command(), "-drive")
    assert drives == ["if=pflash,format=raw,snapshot=on,file=/fw/c,,ode.fd"]


def test_firmware_that_is_started_as_a_kernel() -> None:
    firmware = Firmware(Flash(Path("/fw/u-boot,.bin"), "raw"), None, kernel=True)
    argv = Emulator(Machine("riscv64"), Path("/q"), firmware, "tcg").command()
    assert options(argv, "-kernel") == ["/fw/u-boot,.bin"]
    assert "-drive" not in argv


@pytest.mark.parametrize(
    ("arch", "accel", "machine", "processor", "acceleration"),
    [
        ("x86_64", "tcg", "q35,sata=off", "max", "tcg,thread=multi,tb-size=48"),
        ("x86_64", "kvm", "q35,sata=off", "max", "kvm"),
        ("aarch64", "tcg", "virt", "cortex-a57", "tcg,thread=multi,tb-size=48"),
        ("aarch64", "kvm", "virt", "max", "kvm"),
    ],
)
def test_the_machine(
    arch: str, accel: str, machine: str, processor: str, acceleration: str
) -> None:
    argv = Emulator(Machine(arch, 768, 3), Path("/bin/qemu"), FIRMWARE, accel).command()
    assert argv[0] == "/bin/qemu"
    for name, value in {
        "-machine": machine,
        "-cpu": processor,
        "-accel": acceleration,
        "-smp": "3",
        "-boot": "menu=on,splash-time=0",
        "-m": "768",
    }.items():
        assert options(argv, name) == [value]


@pytest.mark.parametrize(
    ("memory", "acceleration"),
    [(256, "tcg,thread=multi,tb-size=32"), (2048, "tcg,thread=multi")],
)
def test_what_is_kept_of_translated_code(memory: int, acceleration: str) -> None:
    machine = Machine("x86_64", memory)
    argv = Emulator(machine, Path("/bin/qemu"), FIRMWARE, "tcg").command()
    assert options(argv, "-accel") == [acceleration]


def test_the_number_of_processors() -> None:
    assert options(emulator(cpus=None).command(), "-smp") == [str(min(os.cpu_count() or 1, 4))]


def test_a_command_for_the_guest() -> None:
    argv = emulator().command(run="/dev/fd/7")
    assert options(argv, "-fw_cfg") == ["name=opt/bq2/run,file=/dev/fd/7"]
    assert "-no-reboot" in argv
    assert "-no-reboot" not in emulator().command()


def test_an_unknown_accelerator() -> None:
    with pytest.raises(BuildError, match="no accelerator 'xen'"):
        find_emulator(Machine("x86_64", accel="xen"))


@pytest.mark.qemu
def test_a_chosen_accelerator_is_not_tried(tmp_path: Path) -> None:
    for accel in ("kvm", "tcg"):
        assert find_emulator(Machine("x86_64", accel=accel, cache=tmp_path)).accel == accel
    assert list(tmp_path.iterdir()) == []


@pytest.mark.qemu
def test_kvm_is_tried_once_and_the_verdict_obeyed(tmp_path: Path) -> None:
    machine = Machine(platform.machine(), cache=tmp_path / "cache")
    verdict = tmp_path / "cache/kvm.json"
    accel = find_emulator(machine).accel
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        assert accel == "tcg"
        assert not verdict.exists()
        return
    kept = json.loads(verdict.read_text())
    assert list(kept.values()) == [accel == "kvm"]
    # Whatever it was, the file is believed.
    for works, expected in ((True, "kvm"), (False, "tcg")):
        verdict.write_text(json.dumps(dict.fromkeys(kept, works)))
        assert find_emulator(machine).accel == expected
    # Another boot's verdict is not, nor is a broken file.
    for text in (json.dumps({"another boot 7.2": accel != "kvm"}), "[]", "{", '"x"'):
        verdict.write_text(text)
        assert find_emulator(machine).accel == accel
        assert json.loads(verdict.read_text()) == kept


@pytest.mark.qemu
def test_kvm_can_be_distrusted(tmp_path: Path) -> None:
    found = find_emulator(Machine(platform.machine(), accel="kvm"))
    assert not distrust_kvm(found)
    for cache, noted in ((tmp_path / "cache", True), (Path("/proc/nowhere"), False), (None, False)):
        trusting = Emulator(Machine(platform.machine(), cache=cache), found.qemu, FIRMWARE, "kvm")
        assert distrust_kvm(trusting) is noted
    assert list(json.loads((tmp_path / "cache/kvm.json").read_text()).values()) == [False]
