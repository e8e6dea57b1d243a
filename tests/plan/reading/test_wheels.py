"""plan/reading/wheels.py: the wheels in a bundle are the pinned ones in the requirements."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from plan.errors import BuildError
from plan.reading.wheels import load_wheels
from tests.checkout import ROOT

WHEELS = ROOT / "plan" / "wheels.yaml"
REQUIREMENTS = (ROOT / "requirements.txt").read_text()
PYTHONS = ("cp311", "cp312", "cp313", "cp314")


@pytest.mark.parametrize("machine", ["aarch64", "x86_64"])
def test_each_requirement_is_there_for_every_python(machine: str) -> None:
    wheels = load_wheels(WHEELS, machine)
    for wheel in wheels:
        assert f"--hash=sha256:{wheel.sha256}" in REQUIREMENTS, wheel
    # Less what is for Windows only.
    wanted = re.findall(r"^(\S+==\S+) \\$", REQUIREMENTS, re.MULTILINE)
    assert {place.removeprefix("wheel:") for each in wheels for place in each.urls} == {*wanted}
    for system in ("manylinux", "musllinux"):
        files = [each.file for each in wheels if f"{system}_" in each.file]
        assert sorted(file.split("-")[2] for file in files) == sorted(PYTHONS)


def test_a_machine_without_wheels_is_told() -> None:
    with pytest.raises(BuildError, match="no wheels for riscv64"):
        load_wheels(WHEELS, "riscv64")


def test_a_broken_list_is_told(tmp_path: Path) -> None:
    path = tmp_path / "wheels.yaml"
    path.write_text("any: x\n")
    with pytest.raises(BuildError, match=r"plan/wheels\.yaml:1"):
        load_wheels(path, "x86_64")
