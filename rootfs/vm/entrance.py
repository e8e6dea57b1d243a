"""The way into a running machine: a key pair of the work directory, and a port of this host.

    boot   opened() ──▶ <directory>/key, key.pub   made once by ssh-keygen; the guest gets key.pub
                        <directory>/port           locked (flock(2)) while the machine runs
    ssh    entrance() ◀── the port, if that file is locked; ssh_command()

A lock ends with its process, so no file says that a machine runs which does not.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rootfs.vm.devices import HERE

# The credential's name in systemd (systemd.system-credentials(7)), and where QEMU's fw_cfg has it.
CREDENTIAL = "opt/io.systemd.credentials/ssh.authorized_keys.root"
SSH_PORT = 22
# An emulated guest takes half a second for a new connection; so one is kept for a minute. The
# exchange of keys is the quickest one: no other host hears it.
OPTIONS = (
    *("BatchMode=yes", "IdentitiesOnly=yes", "LogLevel=ERROR", "StrictHostKeyChecking=no"),
    *("ControlMaster=auto", "ControlPersist=60", "KexAlgorithms=curve25519-sha256"),
    f"UserKnownHostsFile={os.devnull}",
)


@dataclass(frozen=True)
class Entrance:
    """port: of this host, which leads to the guest's SSH server. key: the private key's file."""

    port: int
    key: Path

    @property
    def public_key(self) -> Path:
        return self.key.with_suffix(".pub")

    @property
    def control(self) -> Path:
        """The socket of a connection that is open: ssh_command() leaves one for a minute."""
        return self.key.with_name(f"control-{self.port}")

    def answers(self, seconds: float, runs: Callable[[], bool] = lambda: True) -> bool:
        """Whether an SSH server answers within `seconds`: a machine needs some time to start.

        It waits only while `runs` says that there still is a machine.
        """
        if self.control.exists():
            return True
        end = time.monotonic() + seconds
        while time.monotonic() < end and runs():
            # QEMU takes each connection, also one that the guest cannot answer yet.
            with contextlib.suppress(OSError), socket.create_connection((HERE, self.port), 2) as to:
                if to.recv(4) == b"SSH-":
                    return True
            time.sleep(0.2)
        return False

    def ssh_command(self, command: str) -> list[str]:
        """The argv of OpenSSH's client: runs `command` in the guest, or a shell if it is empty.

        It must run in the directory of the key: the path of a socket may have 107 characters.
        No file of the user is read or written. The machine's own key is not checked: it may be a
        new one at each start, and the port is of this host.
        """
        argv = ["ssh", "-F", "none", "-i", self.key.name, "-p", str(self.port)]
        for option in (*OPTIONS, f"ControlPath={self.control.name}"):
            argv += ["-o", option]
        return [*argv, f"root@{HERE}", *([command] if command else [])]


@contextlib.contextmanager
def opened(directory: Path) -> Iterator[Entrance | None]:
    """The entrance to the machine that runs during the block; its files are in `directory`.

    None if there can be none: OpenSSH's client is not installed, or it makes no key (it says why:
    this user must be in passwd(5)), or a machine runs that has the entrance.
    Raises OSError if a file cannot be written.
    """
    key = _key(directory)
    if key is None:
        yield None
        return
    with (directory / "port").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        with _held_port() as port:
            file.truncate(0)
            file.write(f"{port}\n")
            file.flush()
            yield Entrance(port, key)


def entrance(directory: Path) -> Entrance | None:
    """The entrance to the machine that runs, or None if none runs."""
    with contextlib.suppress(OSError, ValueError), (directory / "port").open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return Entrance(int(file.read()), directory / "key")
    return None


def _key(directory: Path) -> Path | None:
    """The private key in `directory`, made if it is not there; None if ssh-keygen cannot."""
    key, program = directory / "key", shutil.which("ssh-keygen")
    if program is None:
        return None
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not key.with_suffix(".pub").exists():
        key.unlink(missing_ok=True)
        words = ["-q", "-t", "ed25519", "-N", "", "-C", "bootstrap-qcow2", "-f", os.fspath(key)]
        made = subprocess.run([program, *words], stdin=subprocess.DEVNULL, check=False)
        if made.returncode:
            return None
    return key


@contextlib.contextmanager
def _held_port() -> Iterator[int]:
    """A port that the kernel gives to nobody else during the block. QEMU may listen there: like
    this socket, its own has SO_REUSEADDR (socket(7)).
    """
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((HERE, 0))
        yield int(held.getsockname()[1])
