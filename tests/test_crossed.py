"""The base set for another architecture than the machine's: built, inspected and booted.

Packages that the store lacks are compiled, which takes up to a quarter of an hour:

    BQ2_TEST_SLOW=1 ./bq2 test tests/test_crossed.py
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from plan.compiling.architecture import architectures, load_architecture
from rootfs.vm import boot
from rootfs.vm.entrance import CREDENTIAL, opened
from rootfs.vm.qemu import Machine
from tests.checkout import ROOT, own_cache
from tests.machine.guest import Guest, Key

HOURS = 2 * 3600
LARGEST = 14_000_000  # bytes
pytestmark = [
    pytest.mark.slow,
    pytest.mark.qemu,
    pytest.mark.namespace,
    pytest.mark.timeout(HOURS),
]

Run = Callable[..., str]
OTHERS = [name for name in architectures() if name != os.uname().machine]


@pytest.fixture(scope="module", params=OTHERS)
def arch(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def image(arch: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp(arch) / "image.qcow2"


@pytest.fixture(scope="module")
def doit(arch: str, image: Path) -> Run:
    """Runs doit in this checkout, with the user's cache and a work directory of its own."""
    settings = ("set=base", "seed=debian", f"arch={arch}", f"workdir={image.parent / 'work'}")

    def run(*words: str) -> str:
        command = [sys.executable, "-m", "doit", *words, *settings]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HOURS)
        if "this QEMU cannot pass a command to such a machine" in done.stdout:
            pytest.skip("this QEMU cannot pass a command to such a machine")
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="module")
def built(doit: Run, image: Path) -> Run:
    doit("image", f"output={image}")
    assert image.stat().st_size <= LARGEST
    return doit


def test_it_boots_and_says_what_it_is(built: Run, arch: str, image: Path) -> None:
    script = "run=uname -m; cat /etc/bq2/image.json; ls -d /sys/firmware/efi"
    lines = built("boot", script, f"output={image}").splitlines()
    *told, efi = lines[lines.index(arch) + 1 :]
    assert efi == "/sys/firmware/efi"
    assert json.loads("".join(told))["arch"] == arch


def test_its_programs_run(built: Run, arch: str, image: Path) -> None:
    """Crystal's, where that knows the architecture; the sandbox's needs; the network."""
    about = "about" not in load_architecture(arch).without
    script = (
        f"{'about | head -1' if about else 'echo no about'}; "
        "unshare -Urmn true && echo namespaces; grep -c Seccomp: /proc/self/status; "
        "ip -o link | grep -c lo:; free | grep -c Mem"
    )
    said = built("boot", f"run={script}", f"output={image}")
    first = f"bootstrap-qcow2, set base, {arch}" if about else "no about"
    assert said.splitlines()[-5:] == [first, "namespaces", "1", "1", "1"]


def test_a_person_gets_in(built: Run, arch: str, image: Path, tmp_path: Path) -> None:
    """By the console and by SSH. Of BusyBox's tools, what once ended with a segmentation fault."""
    built("boot", "run=true", f"output={image}")
    with opened(tmp_path / "ssh") as way:
        assert way
        handed = [(CREDENTIAL, way.public_key)]
        with Guest(image, tmp_path, port=way.port, files=handed, arch=arch) as guest:
            guest.expect(boot.PROMPT)
            guest.expect("ssh: root, with your key")
            tools = "awk 'BEGIN { print 6 * 7 }'; diff /init /init && netstat -ltn | grep -c :22"
            said = guest.ssh(Key(way.key), f"{tools}; sv status /run/service/log")
            assert re.match(r"42\n[1-9]\nrun: /run/service/log: ", said.stdout), said


def test_it_is_ready_soon(built: Run, arch: str, image: Path) -> None:
    """Ten seconds where nothing else runs; a busy machine takes longer."""
    assert boot.time_to_prompt(image, Machine(arch, cache=own_cache())) < 60


def test_it_holds_what_it_says(built: Run, image: Path) -> None:
    assert "matches its own records" in built("inspect", f"image={image}")


def test_it_is_the_same_under_other_conditions(built: Run) -> None:
    said = built("verify", "packages=libunwind,busybox")
    assert re.search(r"^2 of 2 identical$", said, re.MULTILINE), said


def test_nothing_in_it_is_of_the_machine(built: Run, arch: str, image: Path) -> None:
    """Every program and library of the product is for the target, and loaded by its loader."""
    built("sysroot", f"output={image.with_suffix('.tar')}", "sources=no")
    subprocess.run(["tar", "-xf", image.with_suffix(".tar"), "usr"], cwd=image.parent, check=True)
    machine = {"aarch64": 183, "riscv64": 243, "x86_64": 62}[arch]  # e_machine of ELF
    found = {}
    for path in (image.parent / "usr").rglob("*"):
        if path.is_file() and not path.is_symlink():
            head = path.read_bytes()
            if head[:4] == b"\x7fELF":
                found[path] = int.from_bytes(head[18:20], "little")
    assert len(found) > 10 and set(found.values()) == {machine}
    busybox = (image.parent / "usr" / "bin" / "busybox").read_bytes()
    assert f"/lib/{load_architecture(arch).loader}".encode() in busybox
