"""rootfs/vm/entrance.py: who may enter, how long, what answers. tests/machine enters for real."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rootfs.vm.devices import HERE
from rootfs.vm.entrance import Entrance, entrance, opened
from tests.rootfs.tools import shadow, tool

HOLD = """
import sys, time
from pathlib import Path
from rootfs.vm.entrance import opened
with opened(Path(sys.argv[1])) as way:
    print(way.port, flush=True)
    time.sleep(60)
"""


def test_it_is_there_while_the_machine_runs(tmp_path: Path) -> None:
    directory = tmp_path / "ssh"
    assert entrance(directory) is None
    with opened(directory) as way:
        assert way and entrance(directory) == way
        assert stat.S_IMODE(way.key.stat().st_mode) == 0o600
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert way.public_key.read_text().startswith("ssh-ed25519 ")
        key = way.key.read_bytes()
    assert entrance(directory) is None
    with opened(directory) as again:
        assert again and again.key.read_bytes() == key


@pytest.mark.fault(
    "ssh-keygen makes no key: this user is in no passwd, or the disk is full",
    "the machine starts, and cannot be entered by `./bq2 ssh`",
)
def test_no_key_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = "echo No user exists for uid 4242 >&2\nexit 255"
    shadow("ssh-keygen", script, tmp_path, monkeypatch)
    with opened(tmp_path / "ssh") as way:
        assert way is None and entrance(tmp_path / "ssh") is None


@pytest.mark.fault(
    "two machines of one work directory", "the first is entered; the second runs too"
)
def test_a_second_machine(tmp_path: Path) -> None:
    with opened(tmp_path) as first, opened(tmp_path) as second:
        assert second is None and entrance(tmp_path) == first


@pytest.mark.fault(
    "another program asks for a port while `./bq2 boot` starts QEMU",
    "it gets another one; QEMU listens at that of `./bq2 ssh`",
)
def test_the_port_is_kept_for_the_machine(tmp_path: Path) -> None:
    with opened(tmp_path) as way:
        assert way
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind((HERE, way.port))
        with socket.socket() as machine:
            machine.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            machine.bind((HERE, way.port))
            machine.listen()
            with socket.create_connection((HERE, way.port), 20):
                pass


@pytest.mark.fault("kill -9 of `./bq2 boot`", "`./bq2 ssh` says that no machine runs")
def test_a_process_that_was_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, os.fspath(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        port = int(process.stdout.readline())
        way = entrance(tmp_path)
        assert way and way.port == port
        process.kill()
    assert entrance(tmp_path) is None


@pytest.mark.fault("`./bq2 boot` without OpenSSH's client", "the machine runs without a way in")
def test_without_ssh_keygen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with opened(tmp_path) as way:
        assert way is None


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server((HERE, 0)) as listening:
        yield listening


@pytest.mark.parametrize(("said", "answers"), [(b"SSH-2.0-x\r\n", True), (b"HTTP", False)])
def test_what_answers(server: socket.socket, tmp_path: Path, said: bytes, answers: bool) -> None:
    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.sendall(said)

    threading.Thread(target=serve, daemon=True).start()
    way = Entrance(server.getsockname()[1], tmp_path / "key")
    assert way.answers(30 if answers else 1) is answers


def test_a_port_that_nobody_serves(server: socket.socket, tmp_path: Path) -> None:
    """As QEMU's is, while its guest starts; and one that is closed."""
    silent = Entrance(server.getsockname()[1], tmp_path / "key")
    assert not silent.answers(0.5)
    server.close()
    assert not silent.answers(0.5)


def test_no_file_of_the_user_is_used(tmp_path: Path) -> None:
    way = Entrance(4022, tmp_path / "key")
    told = tool(way.ssh_command("")[0], "-G", *way.ssh_command("")[1:]).splitlines()
    assert {"user root", "port 4022", "userknownhostsfile /dev/null", "batchmode yes"} <= {*told}
    assert way.ssh_command("a b")[-1] == "a b" and way.ssh_command("")[-1] == f"root@{HERE}"
