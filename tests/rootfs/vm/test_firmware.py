"""The search for QEMU and its firmware, in directory trees like those of distributions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from plan.errors import BuildError
from rootfs.vm.firmware import file_format, find_firmware, find_qemu

NO_QEMU = Path("/nowhere/bin/qemu-system-x86_64")


@pytest.fixture(autouse=True)
def own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BQ2_FIRMWARE", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def lay(root: Path, *files: str) -> None:
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"QFI\xfb\0\0\0\3" if path.suffix == ".qcow2" else b"\0" * 16)


def descriptor(code: str = "code.fd", /, **changes: Any) -> dict[str, Any]:
    data = {
        "interface-types": ["uefi"],
        "mapping": {
            "device": "flash",
            "executable": {"filename": f"/fw/{code}", "format": "raw"},
            "nvram-template": {"filename": "/fw/vars.fd", "format": "raw"},
        },
        "targets": [{"architecture": "x86_64", "machines": ["pc-i440fx-*", "pc-q35-*"]}],
        "features": ["acpi-s3"],
    }
    return data | changes


def describe(root: Path, name: str, data: object, *, directory: str = "usr/share") -> None:
    path = root / directory / "qemu/firmware" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data if isinstance(data, str) else json.dumps(data))


@pytest.mark.parametrize(
    ("arch", "code", "variables", "form"),
    [
        # Debian, Ubuntu; Fedora; Arch; Alpine; openSUSE.
        ("x86_64", "usr/share/OVMF/OVMF_CODE_4M.fd", "usr/share/OVMF/OVMF_VARS_4M.fd", "raw"),
        (
            "x86_64",
            "usr/share/edk2/ovmf/OVMF_CODE_4M.qcow2",
            "usr/share/edk2/ovmf/OVMF_VARS_4M.qcow2",
            "qcow2",
        ),
        (
            "x86_64",
            "usr/share/edk2/x64/OVMF_CODE.4m.fd",
            "usr/share/edk2/x64/OVMF_VARS.4m.fd",
            "raw",
        ),
        ("x86_64", "usr/share/OVMF/OVMF_CODE.fd", "usr/share/OVMF/OVMF_VARS.fd", "raw"),
        (
            "x86_64",
            "usr/share/qemu/ovmf-x86_64-4m-code.bin",
            "usr/share/qemu/ovmf-x86_64-4m-vars.bin",
            "raw",
        ),
        ("aarch64", "usr/share/AAVMF/AAVMF_CODE.fd", "usr/share/AAVMF/AAVMF_VARS.fd", "raw"),
        (
            "aarch64",
            "usr/share/edk2/aarch64/QEMU_EFI-pflash.qcow2",
            "usr/share/edk2/aarch64/vars-template-pflash.qcow2",
            "qcow2",
        ),
    ],
)
def test_known_places(tmp_path: Path, arch: str, code: str, variables: str, form: str) -> None:
    lay(tmp_path, code, variables)
    found = find_firmware(arch, NO_QEMU, root=tmp_path)
    assert (found.code.path, found.code.format) == (tmp_path / code, form)
    # x86_64's has its variables in memory.
    kept = found.variables and (found.variables.path, found.variables.format)
    assert kept == (None if arch == "x86_64" else (tmp_path / variables, form))


def test_one_file_alone_is_started_as_a_kernel(tmp_path: Path) -> None:
    alone = "usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin"
    lay(tmp_path, alone)
    found = find_firmware("riscv64", NO_QEMU, root=tmp_path)
    assert (found.code.path, found.variables, found.kernel) == (tmp_path / alone, None, True)
    directory = "usr/share/qemu-efi-riscv64"
    lay(tmp_path, f"{directory}/RISCV_VIRT_CODE.fd", f"{directory}/RISCV_VIRT_VARS.fd")
    found = find_firmware("riscv64", NO_QEMU, root=tmp_path)
    assert found.variables and not found.kernel


def test_the_4m_build_is_preferred_and_half_a_pair_is_none(tmp_path: Path) -> None:
    lay(tmp_path, "usr/share/OVMF/OVMF_CODE_4M.fd")
    lay(tmp_path, "usr/share/OVMF/OVMF_CODE.fd", "usr/share/OVMF/OVMF_VARS.fd")
    found = find_firmware("x86_64", NO_QEMU, root=tmp_path)
    assert found.code.path.name == "OVMF_CODE.fd"
    lay(tmp_path, "usr/share/OVMF/OVMF_VARS_4M.fd")
    found = find_firmware("x86_64", NO_QEMU, root=tmp_path)
    assert found.code.path.name == "OVMF_CODE_4M.fd"


@pytest.mark.parametrize("linked", [False, True])
def test_the_firmware_that_came_with_qemu(tmp_path: Path, linked: bool) -> None:
    cellar = tmp_path / "opt/Cellar/qemu"
    lay(cellar, "bin/qemu-system-x86_64", "share/qemu/edk2-x86_64-code.fd")
    lay(cellar, "share/qemu/edk2-i386-vars.fd")
    qemu = cellar / "bin/qemu-system-x86_64"
    if linked:
        link = tmp_path / "opt/bin/qemu-system-x86_64"
        link.parent.mkdir()
        link.symlink_to(qemu)
        qemu = link
    found = find_firmware("x86_64", qemu, root=tmp_path)
    assert found.code.path == cellar / "share/qemu/edk2-x86_64-code.fd"


def test_descriptors_in_their_order(tmp_path: Path) -> None:
    lay(tmp_path, "fw/code.fd", "fw/late.fd", "fw/vars.fd", "usr/share/OVMF/OVMF_CODE_4M.fd")
    lay(tmp_path, "usr/share/OVMF/OVMF_VARS_4M.fd")
    describe(tmp_path, "60-late.json", descriptor("late.fd"))
    describe(tmp_path, "50-first.json", descriptor())
    found = find_firmware("x86_64", NO_QEMU, root=tmp_path)
    assert found.code.path == tmp_path / "fw/code.fd"
    # The administrator's empty file hides the distribution's namesake.
    describe(tmp_path, "50-first.json", "", directory="etc")
    found = find_firmware("x86_64", NO_QEMU, root=tmp_path)
    assert found.code.path == tmp_path / "fw/late.fd"


MAPPING = descriptor()["mapping"]


@pytest.mark.parametrize(
    "data",
    [
        "",
        "{",
        "[]",
        "{}",
        descriptor("missing.fd"),
        descriptor(features=["requires-smm", "secure-boot"]),
        descriptor(features=["enrolled-keys"]),
        descriptor(**{"interface-types": ["bios"]}),
        descriptor(targets=[{"architecture": "aarch64", "machines": ["virt-*"]}]),
        descriptor(targets=[{"architecture": "x86_64", "machines": ["microvm"]}]),
        descriptor(mapping={"device": "memory", "filename": "/fw/code.fd"}),
        descriptor(mapping=MAPPING | {"mode": "stateless"}),
        descriptor(mapping={k: v for k, v in MAPPING.items() if k != "nvram-template"}),
    ],
)
def test_descriptors_that_do_not_fit(tmp_path: Path, data: object) -> None:
    lay(tmp_path, "fw/code.fd", "fw/vars.fd")
    describe(tmp_path, "10-unfit.json", data)
    with pytest.raises(BuildError, match="no UEFI firmware for x86_64"):
        find_firmware("x86_64", NO_QEMU, root=tmp_path)
    describe(tmp_path, "90-fit.json", descriptor())
    assert find_firmware("x86_64", NO_QEMU, root=tmp_path).code.path == tmp_path / "fw/code.fd"


def test_the_override_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(tmp_path, "mine/code.fd", "mine/vars.qcow2", "usr/share/OVMF/OVMF_CODE_4M.fd")
    code, variables = tmp_path / "mine/code.fd", tmp_path / "mine/vars.qcow2"
    monkeypatch.setenv("BQ2_FIRMWARE", f"{code}:{variables}")
    found = find_firmware("x86_64", NO_QEMU, root=tmp_path)
    assert found.variables
    assert (found.code.path, found.variables.path) == (code, variables)
    assert (found.code.format, found.variables.format) == ("raw", "qcow2")
    monkeypatch.setenv("BQ2_FIRMWARE", str(code))
    assert find_firmware("x86_64", NO_QEMU, root=tmp_path).variables is None


@pytest.mark.parametrize("value", ["/nowhere/code.fd", "{here}:/nowhere/vars.fd"])
def test_an_override_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    lay(tmp_path, "code.fd")
    monkeypatch.setenv("BQ2_FIRMWARE", value.format(here=tmp_path / "code.fd"))
    with pytest.raises(BuildError, match="no such file: /nowhere/") as caught:
        find_firmware("x86_64", NO_QEMU, root=tmp_path)
    assert caught.value.where == "BQ2_FIRMWARE"


@pytest.mark.parametrize(
    ("arch", "packages"),
    [
        ("x86_64", ["qemu-system-x86 ovmf", "edk2-ovmf", "qemu-system-x86_64 ovmf"]),
        ("aarch64", ["qemu-system-arm qemu-efi-aarch64", "edk2-aarch64", "aavmf"]),
    ],
)
def test_nothing_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arch: str, packages: list[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match=f"qemu-system-{arch} is not installed") as qemu:
        find_qemu(arch)
    with pytest.raises(BuildError, match=f"no UEFI firmware for {arch}") as firmware:
        find_firmware(arch, NO_QEMU, root=tmp_path)
    for error in (qemu.value, firmware.value):
        for words in ("Debian", "Fedora", "Arch", "Alpine", *packages):
            assert words in str(error.hint)
    assert "BQ2_FIRMWARE" in str(firmware.value.hint)


def test_an_unknown_architecture() -> None:
    with pytest.raises(BuildError, match="'x86-64'") as caught:
        find_qemu("x86-64")
    assert caught.value.hint == "did you mean x86_64?"


@pytest.mark.qemu
def test_what_is_installed_here() -> None:
    found = find_firmware("x86_64", find_qemu("x86_64"))
    assert found.code.path.stat().st_size > 1 << 20
    assert file_format(found.code.path) == found.code.format
