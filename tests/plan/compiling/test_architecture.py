"""The data of the architectures, and the messages for errors in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from plan.compiling.architecture import DATA, architectures, load_architecture
from plan.errors import BuildError
from rootfs.image.fat_names import short_names
from tests.plan.conftest import PLAN


@pytest.mark.parametrize("name", architectures())
def test_each_architecture_has_all_that_a_build_and_a_boot_ask_for(name: str) -> None:
    found = load_architecture(name)
    assert found.triple == f"{name}-bq2-linux-musl"
    assert found.loader == f"ld-musl-{name}.so.1"
    assert found.efi.startswith("BOOT") and found.efi.endswith(".EFI")
    assert found.qemu.program == f"qemu-system-{name}"
    assert "Debian, Ubuntu" in found.qemu.packages
    assert (PLAN / "recipes" / "linux" / f"{name}.config").is_file()


def test_the_names_are_those_of_the_entries(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("# one:\none:\n  two: 3\nfour: {}\n")
    assert architectures(file) == ("one", "four")
    assert {"aarch64", "x86_64"} <= {*architectures()}


@pytest.mark.parametrize(
    ("old", "new", "message", "hint"),
    [
        ("  efi: BOOTAA64.EFI\n", "", "the key 'efi' is missing", None),
        ("  loader:", "  loadr:", "unknown key 'loadr'", "did you mean loader?"),
        ("  qemu:\n", "  without: [a]\n  qemu:\n", "'without' must be a mapping, not list", None),
        ("x86_64:\n", "mine: x\nx86_64:\n", "'mine' must be a mapping, not text", None),
        ("{tcg: cortex-a57, kvm: max}", "{tcg: cortex-a57}", "no processor for kvm", None),
        (
            "    machine: virt\n",
            "    machne: virt\n",
            "unknown key 'machne'",
            "did you mean machine?",
        ),
        (
            "    machine: virt\n",
            "    machine: virt\n    variables: disk\n",
            "variables is flash or memory, not 'disk'",
            None,
        ),
        (
            "- [usr/share/AAVMF/AAVMF_CODE.fd, ",
            "- usr/x # [",
            "firmware must be a list of lists",
            None,
        ),
    ],
)
def test_what_is_wrong_in_an_entry_is_told_with_its_line(
    tmp_path: Path, old: str, new: str, message: str, hint: str | None
) -> None:
    text = DATA.read_text()
    assert old in text
    file = tmp_path / "architectures.yaml"
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(BuildError, match=message) as caught:
        load_architecture("aarch64", file)
    assert (caught.value.where or "").startswith("plan/architectures.yaml:")
    assert hint is None or caught.value.hint == hint


def test_an_unknown_architecture_is_told_with_the_nearest() -> None:
    with pytest.raises(BuildError, match="no architecture 'aarch46'") as caught:
        load_architecture("aarch46")
    assert caught.value.hint == "did you mean aarch64?"


def test_the_name_of_each_boot_file_can_be_on_a_fat_volume() -> None:
    for architecture in architectures():
        assert short_names([load_architecture(architecture).efi])
