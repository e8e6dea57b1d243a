"""The boot code, run by QEMU's own BIOS: on a serial line, and on a screen."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from rootfs.image import gpt
from rootfs.image.bootcode import BOOT_CODE, TEXT
from rootfs.image.disk import Disk
from rootfs.vm.firmware import find_qemu
from rootfs.vm.guest_console import End, Program, listen

OPTIONS = ("-nodefaults", "-display", "none", "-monitor", "none")
TEXT_SCREEN = 0xB8000  # the memory of a VGA card in text mode: character, colour, …


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    parts = [gpt.Partition(Disk(1, ()), gpt.LINUX_FILESYSTEM, "root")]
    with path.open("wb") as file:
        gpt.disk(parts, identity="a").write(file)
    return path


def drive(disk: Path) -> list[str]:
    return ["-drive", f"format=raw,snapshot=on,file={disk}"]


def test_it_fits_before_the_partition_table() -> None:
    assert len(BOOT_CODE) <= 440
    assert all(len(line) <= 80 for line in TEXT.splitlines())


@pytest.mark.qemu
@pytest.mark.fault("the image is started by a BIOS", "it says that it wants UEFI")
def test_a_bios_prints_the_text(disk: Path) -> None:
    heard = bytearray()

    def said(data: bytes) -> bool:
        heard.extend(data)
        return TEXT.encode() in heard

    qemu = os.fspath(find_qemu("x86_64"))
    argv = [qemu, *OPTIONS, *drive(disk), "-machine", "q35,graphics=off", "-serial", "stdio"]
    with Program(argv) as program:
        assert listen(program, said, seconds=300) is End.ENOUGH, heard


@pytest.mark.qemu
def test_the_text_is_on_the_screen(disk: Path, tmp_path: Path) -> None:
    memory = tmp_path / "memory"
    end, shown = time.monotonic() + 300, ""
    argv = [os.fspath(find_qemu("x86_64")), *OPTIONS, *drive(disk), "-vga", "std", "-qmp", "stdio"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(b'{"execute": "qmp_capabilities"}\n')
        save = f'"val": {TEXT_SCREEN}, "size": 4000, "filename": "{memory}"'
        while not all(line in shown for line in TEXT.splitlines()) and time.monotonic() < end:
            time.sleep(0.2)
            process.stdin.write(b'{"execute": "pmemsave", "arguments": {%b}}\n' % save.encode())
            process.stdin.flush()
            if memory.exists():
                shown = memory.read_bytes()[::2].decode("cp437")
        process.kill()
    lines = [shown[at : at + 80].rstrip() for at in range(0, len(shown), 80)]
    assert [line for line in TEXT.splitlines() if line in lines] == TEXT.splitlines()
