"""doit ssh, where it cannot enter. tests/machine enters a machine that runs."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rootfs.vm.devices import HERE
from rootfs.vm.entrance import opened
from tests.tasks.toy import SECONDS, Checkout, doit, processes, until


@pytest.mark.fault("`./bq2 ssh` where no machine runs", "it says so, and what starts one")
def test_no_machine_runs(toy: Checkout) -> None:
    done = toy.doit("ssh", "run=true")
    assert done.status != 0
    assert "no machine is running that ssh can enter" in done.said and "doit boot" in done.said


@pytest.fixture
def machine(toy: Checkout) -> Iterator[socket.socket]:
    """A port where a machine would be, which is known to `ssh`."""
    with opened(toy.root / "work" / "ssh") as way, socket.socket() as port:
        assert way
        port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as QEMU has it
        port.bind((HERE, way.port))
        port.listen()
        yield port


def _greets(machine: socket.socket) -> None:
    with machine.accept()[0] as connection:
        connection.sendall(b"SSH-2.0-x\r\n")
        with contextlib.suppress(ConnectionError):
            connection.recv(1)


@pytest.mark.fault(
    "`./bq2 ssh` where the machine does not answer or the command does not end, with `timeout=`",
    "it ends after that time, and names timeout=",
)
@pytest.mark.parametrize("answers", [False, True])
def test_the_time_that_a_person_gives(
    toy: Checkout, machine: socket.socket, tmp_path: Path, answers: bool
) -> None:
    client = tmp_path / "ssh"
    client.write_text("#!/bin/sh\nexec sleep 60\n")
    client.chmod(0o755)
    if answers:
        threading.Thread(target=_greets, args=(machine,), daemon=True).start()
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = toy.doit("ssh", "run=true", "timeout=0.1", PATH=path)
    assert done.status != 0 and "timeout=MINUTES on the command line" in done.said, done
    late = "the command did not end" if answers else "the machine does not answer"
    assert f"{late} within 6 s" in done.said, done


@pytest.mark.fault(
    "the machine ends while `./bq2 ssh` waits for it", "it says so at once, and who knows why"
)
def test_the_machine_ends_meanwhile(toy: Checkout) -> None:
    with opened(toy.root / "work" / "ssh") as way, socket.socket() as machine:
        assert way
        machine.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        machine.bind((HERE, way.port))
        machine.listen()
        process = toy.start(doit("ssh", "run=true"))
        connection, _ = machine.accept()
    with connection:
        said, _ = process.communicate(timeout=SECONDS)
    assert process.returncode != 0 and "the machine ended before it answered" in said, said


@pytest.mark.fault(
    "SIGTERM of `./bq2 ssh`, `test` or `bench`", "the program that it started ends with it"
)
def test_what_ends_it_ends_the_client(
    toy: Checkout, machine: socket.socket, tmp_path: Path
) -> None:
    marker = f"{1000 + abs(hash(tmp_path)) % 10**9}"
    client = tmp_path / "ssh"
    client.write_text(f"#!/bin/sh\nexec sleep {marker}\n")
    client.chmod(0o755)
    threading.Thread(target=_greets, args=(machine,), daemon=True).start()
    process = toy.start(doit("ssh", "run=true"), PATH=f"{tmp_path}:{os.environ['PATH']}")
    until(lambda: bool(processes(f"sleep {marker}")), "the client")
    process.terminate()
    assert process.wait(SECONDS) == 128 + signal.SIGTERM
    until(lambda: not processes(f"sleep {marker}"), "the end of the client")
    process.communicate()
