"""A machine that runs in QEMU, for tests: its console, its monitor, and SSH into it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from rootfs.vm.entrance import SSH_PORT, Entrance
from rootfs.vm.qemu import Machine, find_emulator
from rootfs.vm.transcript import plain

SLOWEST = 300.0  # seconds: emulated, on a busy host


@dataclass(frozen=True)
class Key:
    """A key pair: the private key's file, and the line of the public one."""

    file: Path

    @classmethod
    def made(cls, file: Path) -> Key:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file], check=True)
        return cls(file)

    @property
    def line(self) -> str:
        return self.file.with_suffix(".pub").read_text().strip()


class Guest:
    """A machine started from `image`, which keeps its bytes. A context manager that ends it.

    port: of this host, for its SSH server; None: no network. options: more of QEMU's.
    persist: `image` gets what the machine writes; the end of the block is a power cut.
    cpus: None: as many as QEMU is given by default.
    """

    def __init__(
        self,
        image: Path,
        directory: Path,
        *,
        port: int | None = None,
        files: Sequence[tuple[str, Path]] = (),
        options: Sequence[str] = (),
        memory: int = 512,
        arch: str = "x86_64",
        persist: bool = False,
        cpus: int | None = None,
    ) -> None:
        ports = None if port is None else ((port, SSH_PORT),)
        machine = Machine(arch, memory, cpus, accel="tcg", ports=ports, files=tuple(files))
        self.monitor = directory / "monitor"
        argv = [*find_emulator(machine).command(image=image, persist=persist), *options]
        argv += ["-qmp", f"unix:{self.monitor},server=on,wait=off"]
        self.port = port
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0
        )
        self._heard = bytearray()
        self._at = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()

    def _listen(self) -> None:
        assert self.process.stdout
        while data := os.read(self.process.stdout.fileno(), 1 << 16):
            self._heard += data

    @property
    def console(self) -> str:
        """All that the console showed."""
        return plain(bytes(self._heard)).decode(errors="replace").replace("\r\n", "\n")

    def expect(self, text: str, seconds: float = SLOWEST) -> float:
        """Wait for `text` on the console, after the last one that was waited for; when it came."""
        end = time.monotonic() + seconds
        while (found := self.console.find(text, self._at)) < 0:
            assert time.monotonic() < end, f"no {text!r} in:\n{self.console[-3000:]}"
            time.sleep(0.05)
        self._at = found + len(text)
        return time.monotonic() - self.started

    def type(self, text: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(text.encode())

    def ssh(self, key: Key, command: str, *options: str) -> subprocess.CompletedProcess[str]:
        """`command` in the machine, by OpenSSH's client with `key`."""
        assert self.port is not None
        way = Entrance(self.port, key.file)
        assert way.answers(SLOWEST), self.console
        argv = way.ssh_command(command)
        argv[1:1] = ["-o", "ControlPath=none", *options]
        return subprocess.run(
            argv, cwd=key.file.parent, capture_output=True, text=True, timeout=SLOWEST, check=False
        )

    def ask(self, command: str, **arguments: object) -> None:
        """Let QEMU obey one command of its machine protocol (QMP)."""
        with socket.socket(socket.AF_UNIX) as to:
            to.connect(os.fspath(self.monitor))
            with to.makefile("rw") as lines:
                lines.readline()  # QEMU greets
                asked = {"execute": command, "arguments": arguments}
                for each in ({"execute": "qmp_capabilities"}, asked):
                    lines.write(json.dumps(each) + "\n")
                    lines.flush()
                    # Events may come before the answer.
                    while "event" in (answer := json.loads(lines.readline())):
                        pass
                    assert "return" in answer, answer

    def ended(self, seconds: float = SLOWEST) -> int:
        """QEMU's exit status, when the machine has powered off."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end:\n{self.console[-3000:]}") from None


def fat_disk(path: Path, label: str, files: dict[str, str | bytes], kib: int = 1440) -> Path:
    """A FAT file system without partitions, by the real tools."""
    environment = {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    subprocess.run(
        ["mkfs.vfat", "-C", "-n", label, path, str(kib)],
        env=environment, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    for name, text in files.items():
        data = text if isinstance(text, bytes) else text.encode()
        subprocess.run(["mcopy", "-i", path, "-", f"::{name}"], input=data, check=True)
    return path


def drive(path: Path) -> list[str]:
    """QEMU's options for one more disk."""
    which = f"if=none,id={path.stem},format=raw,file={path},snapshot=on"
    return ["-drive", which, "-device", f"virtio-blk-pci,drive={path.stem}"]
