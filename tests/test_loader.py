"""The package `loader`, built by the seed's Crystal and started by real firmware.

In place of Linux it starts a kernel of a few lines (tests/stub.cr), which prints the words that it
is handed. So the rest of the image, its proof and its inspection are the real ones.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from plan.compiling.architecture import load_architecture
from rootfs.image.gpt import partition_guid
from rootfs.inspection.inspection import Inspection
from rootfs.vm.qemu import Machine, find_emulator
from rootfs.vm.transcript import plain
from tests.checkout import ROOT, copy_project, own_cache

SECONDS = 600
pytestmark = [pytest.mark.qemu, pytest.mark.namespace, pytest.mark.timeout(4 * SECONDS)]

SETS = """\
base:
  phase: sysroot-from-seed
  packages: [base-files, linux, kernel]
  exclude: []
  initramfs: {kernel: kernel, packages: [base-files], exclude: []}
"""
RECIPE = """\
name: {name}
version: "1"
license: MIT
description: stands for the real one
tools: [crystal]
style: script
environment: {{CRYSTAL_CACHE_DIR: /tmp/crystal}}
build: |
"""
LINUX = """\
  mkdir -p /dest/usr/src/linux
  {
    echo "# Linux/test 1.2.3 Kernel Configuration"
    echo 'CONFIG_CMDLINE="console=test quiet"'
    if [ "$ARCH" = x86_64 ]; then echo CONFIG_CMDLINE_BOOL=y; fi
  } > /dest/usr/src/linux/.config
"""
# The initramfs lies behind the program, where the inspection finds it.
KERNEL = """\
  cp /recipe/*.cr /build; cd /build
  crystal build --prelude=empty --release --no-debug --single-module --cross-compile \\
    --target "$ARCH-unknown-windows" -o stub stub.cr
  ln -s "$(command -v ld.lld)" lld-link
  ./lld-link -subsystem:efi_application -nodefaultlib -entry:efi_main -Brepro -out:stub.efi stub.obj
  mkdir /dest/boot; cat stub.efi /input/initramfs.cpio > /dest/boot/kernel.efi
"""


class Built:
    """A checkout with the kernel of the test, and what it makes for one architecture."""

    def __init__(self, root: Path, arch: str) -> None:
        self.root, self.arch = root, arch

    def doit(self, *words: str) -> str:
        kept = {name: value for name, value in os.environ.items() if name[:4] != "BQ2_"}
        given = [*words, "set=base", "seed=debian", f"arch={self.arch}"]
        done = subprocess.run(
            [sys.executable, "-m", "doit", *given],
            cwd=self.root,
            env={**kept, "BQ2_CACHE": str(self.root.parent / "cache")},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def file(self, form: str = "raw") -> Path:
        return self.root / "output" / f"bootstrap-qcow2-base-{self.arch}.{form}"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("loader")
    root = copy_project(directory / "checkout")
    shutil.copytree(own_cache() / "sources", directory / "cache" / "sources", copy_function=_link)
    recipes = root / "plan" / "recipes"
    (root / "plan" / "sets.yaml").write_text(SETS)
    for name, script in {"linux": LINUX, "kernel": KERNEL}.items():
        shutil.rmtree(recipes / name, ignore_errors=True)
        (recipes / f"{name}.yaml").write_text(RECIPE.format(name=name) + script)
    (recipes / "kernel").mkdir()
    shutil.copy(recipes / "loader" / "efi.cr", recipes / "kernel")
    shutil.copy(ROOT / "tests" / "stub.cr", recipes / "kernel")
    return root


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


@pytest.fixture(scope="module", params=["x86_64", "aarch64"])
def built(checkout: Path, request: pytest.FixtureRequest) -> Iterator[Built]:
    found = Built(checkout, request.param)
    if not (own_cache() / "sources").is_dir() or os.uname().machine != "x86_64":
        pytest.skip("the seed that has a Crystal compiler is not here")
    found.doit("image", "loader=crystal", "format=raw")
    yield found


def console(image: Path, arch: str, until: str, keys: bytes = b"", *, persist: bool = False) -> str:
    """What the firmware and its programs print until they print `until`, when QEMU is killed;
    `keys` are pressed again and again. persist: the image keeps what they write."""
    emulator = find_emulator(Machine(arch, accel="tcg", memory_mib=256))
    command = emulator.command(image=image, persist=persist)
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin and process.stdout
    stop = threading.Timer(SECONDS, process.kill)
    stop.start()
    over = threading.Event()

    def press() -> None:
        while keys and not over.wait(0.3):
            try:
                os.write(process.stdin.fileno(), keys)  # type: ignore[union-attr]
            except OSError:
                return

    presses = threading.Thread(target=press)
    presses.start()
    said = b""
    try:
        while piece := os.read(process.stdout.fileno(), 4096):
            said += piece
            if re.search(until.encode(), plain(said)):
                break
    finally:
        over.set()
        presses.join()
        stop.cancel()
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
    return plain(said).decode(errors="replace")


WORDS = r"KERNEL <([^>]*)>"


def handed(said: str) -> str:
    """The words that the kernel was handed."""
    found = re.search(WORDS, said)
    assert found, said[-2000:]
    return found[1]


def test_it_shows_and_starts_the_kernel(built: Built) -> None:
    said = console(built.file(), built.arch, WORDS)
    assert f"bootstrap-qcow2: Linux 1.2.3 for {built.arch}" in said
    assert "r: the rescue shell" not in said, "it waits for a key"
    words = handed(said)
    # Which disk: the path that the firmware has for it, and the ESP's own GUID.
    esp = str(partition_guid(f"base {built.arch}", "ESP")).upper()
    assert re.search(rf" ?bq2\.from=PciRoot\(0x0\)/Pci\([^ ]*/HD\(1,GPT,{esp},[^ ]*\) $", words)
    # x86_64 adds them to its own; the others have no words but these.
    own = "" if built.arch == "x86_64" else "console=test quiet "
    assert words.startswith(f"{own}bq2.from=")


# The loader looks for a key for a moment only, which a busy machine lets pass.
@pytest.mark.slow
@pytest.mark.parametrize(("key", "rescue"), [(b"r", True), (b"x", False)])
def test_a_key_leads_to_the_menu(built: Built, key: bytes, rescue: bool) -> None:
    said = console(built.file(), built.arch, WORDS, keys=key)
    assert "r: the rescue shell" in said
    assert ("rdinit=/bin/sh -- -c " in handed(said)) == rescue


@pytest.mark.fault(
    "the kernel in the ESP is not the one that was built", "the loader says so and starts nothing"
)
def test_another_kernel_is_not_started(built: Built, tmp_path: Path) -> None:
    image = tmp_path / "changed.raw"
    shutil.copy(built.file(), image)
    with image.open("r+b") as file:
        file.seek(file.read().index(b"070701"))  # in the initramfs: the program itself would run
        file.write(b"0707O1")
    said = console(image, built.arch, "it is not started")
    assert "KERNEL.EFI is not the kernel of this image: its sha256 differs" in said
    assert "KERNEL <" not in said
    with image.open("rb") as file:
        checks = {each.what: each for each in Inspection(file, image.name, None).checks()}
    assert "does not have the hash of the kernel" in checks["loader"].found


NOTHING = 32 * "0"


class Disk:
    """A copy of the image that keeps what is written, with the same kernel in both places."""

    def __init__(self, built: Built, path: Path) -> None:
        self.path, self.arch = path, built.arch
        shutil.copy(built.file(), path)
        for name in ("LOADER.EFI", "KERNEL.EFI"):
            self.put(f"BQ2/B/{name}", self.get(f"BQ2/A/{name}"))

    def put(self, name: str, data: bytes) -> None:
        at, folder = f"{self.path}@@1M", name.rpartition("/")[0]
        subprocess.run(["mmd", "-D", "s", "-i", at, f"::/{folder}"], check=False)
        subprocess.run(["mcopy", "-o", "-i", at, "-", f"::/{name}"], input=data, check=True)

    def get(self, name: str) -> bytes:
        argv = ["mcopy", "-i", f"{self.path}@@1M", f"::/{name}", "-"]
        return subprocess.run(argv, capture_output=True, check=True).stdout

    @property
    def state(self) -> str:
        return self.get("BQ2/STATE")[:14].decode()

    def choose(self, state: str) -> None:
        """Let the sector say so, as an update does."""
        self.put("BQ2/STATE", f"{state} {NOTHING}\n".encode().ljust(511) + b"\n")

    def start(self) -> str:
        """What is printed until the kernel ends, when the power goes."""
        return console(self.path, self.arch, WORDS, persist=True)

    def damage(self, place: str) -> None:
        """Change a byte of the kernel's initramfs, so that the kernel itself would run."""
        name = f"BQ2/{place}/KERNEL.EFI"
        self.put(name, self.get(name).replace(b"070701", b"0707O1", 1))


@pytest.fixture
def disk(built: Built, tmp_path: Path) -> Disk:
    return Disk(built, tmp_path / "disk.raw")


def test_the_second_place_is_tried_once(disk: Disk) -> None:
    """The mark is gone before the kernel runs; what is tried has to be kept within the seconds."""
    assert disk.state == "BQ2 A - A 0000"
    disk.choose("BQ2 A B A 0300")
    words = handed(disk.start())
    assert words.endswith('(sleep 0300; [ -e /run/kept ] || { echo bq2: nobody kept this '
                          'system; reboot -f; }) & exec /init"')  # fmt: skip
    assert disk.state == "BQ2 A - B 0300"
    assert "sleep" not in handed(disk.start())
    assert disk.state == "BQ2 A - A 0300"


def test_what_is_kept_is_started(disk: Disk) -> None:
    disk.damage("A")
    disk.choose("BQ2 B - B 0300")
    said = disk.start()
    assert "sleep" not in handed(said) and "not started" not in said
    assert disk.state == "BQ2 B - B 0300"


@pytest.mark.fault(
    "the kernel that an update tries is damaged, or gone",
    "the loader says so, and the former one is started at once",
)
@pytest.mark.parametrize("kernel", ["damaged", "gone", "no program"])
def test_a_bad_kernel_is_tried(disk: Disk, kernel: str) -> None:
    if kernel == "damaged":
        disk.damage("B")
    elif kernel == "gone":
        argv = ["mdel", "-i", f"{disk.path}@@1M", "::/BQ2/B/KERNEL.EFI", "::/BQ2/B/LOADER.EFI"]
        subprocess.run(argv, check=True)
    else:
        disk.put("BQ2/B/LOADER.EFI", b"MZ" + 5000 * b"\0")
    disk.choose("BQ2 A B A 0300")
    said = disk.start()
    assert "not started" in said and "sleep" not in handed(said)
    assert disk.state == "BQ2 A - A 0300"


@pytest.mark.fault(
    "the sector that says what is started is damaged, or the kept kernel is",
    "the other place is started",
)
def test_whatever_can_be_started_is(disk: Disk) -> None:
    disk.choose("nonsense")
    assert handed(disk.start())
    disk.choose("BQ2 A - A 0000")
    disk.damage("A")
    said = disk.start()
    assert "A\\KERNEL.EFI is not the kernel of this image" in said and handed(said)
    assert disk.state == "BQ2 A - B 0000"
    disk.damage("B")
    assert "there is nothing to start" in console(disk.path, disk.arch, "nothing to start")


def test_its_proof(built: Built) -> None:
    said = built.doit("inspect", "loader=crystal", "format=raw")
    efi = load_architecture(built.arch).efi
    assert "BQ2/A/LOADER.EFI, starts only this kernel" in said
    told = json.loads(Path(f"{built.file()}.provenance.json").read_text())
    names = [row["name"] for row in told["subject"]]
    places = ["BQ2/A/LOADER.EFI", "BQ2/A/KERNEL.EFI", "BQ2/STATE"]
    assert names == [built.file().name, f"EFI/BOOT/{efi}", *places]
    assert told["predicate"]["buildDefinition"]["externalParameters"]["loader"] == "loader"
    assert "identical" in built.doit("verify", "loader=crystal", "packages=loader")


def test_without_it_the_firmware_starts_the_kernel(built: Built) -> None:
    built.doit("image", "loader=none", "format=qcow2")
    said = console(built.file("qcow2"), built.arch, WORDS)
    assert handed(said) == "" and "bootstrap-qcow2: Linux" not in said
