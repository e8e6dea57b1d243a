"""Programs on pipes and on a pty: real processes, no QEMU."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from rootfs.vm.guest_console import End, Program, joined, listen, write_all
from tests.rootfs.terminal import SLOWEST, Terminal, gone


def sh(script: str) -> Program:
    return Program(["/bin/sh", "-c", script])


class Heard:
    """Collects what is heard, until it has `enough` (bytes)."""

    def __init__(self, enough: bytes = b"\0never\0") -> None:
        self.data = b""
        self.enough = enough

    def __call__(self, data: bytes) -> bool:
        self.data += data
        return self.enough in self.data


def test_output_and_complaints_are_apart_and_complete() -> None:
    heard = Heard()
    with sh("head -c 300000 /dev/zero; echo oops >&2; exit 3") as program:
        assert listen(program, heard) is End.GONE
        assert program.wait() == 3
    assert heard.data == bytes(300000)
    assert bytes(program.complaints) == b"oops\n"


def test_enough_ends_the_listening_and_the_program() -> None:
    with sh("echo $$; exec sleep 60") as program:
        heard = Heard(b"\n")
        assert listen(program, heard, seconds=SLOWEST) is End.ENOUGH
    assert gone(int(heard.data))


def test_time_is_up() -> None:
    before = time.monotonic()
    with sh("exec sleep 60") as program:
        assert listen(program, Heard(), seconds=0.3) is End.TIMEOUT
    assert 0.3 <= time.monotonic() - before < 30


def test_a_program_that_will_not_end_is_killed() -> None:
    with sh("trap '' TERM; echo $$; while :; do sleep 1; done") as program:
        heard = Heard(b"\n")
        assert listen(program, heard, seconds=SLOWEST) is End.ENOUGH
        program.end(grace_s=0.2)
        assert gone(int(heard.data))


def test_kvm_giving_up_is_noticed() -> None:
    with sh("echo 'KVM internal error. Suberror: 1' >&2; exec sleep 60") as program:
        assert listen(program, Heard(), seconds=SLOWEST) is End.FAULT


def test_a_program_that_cannot_be_started() -> None:
    with Program(["/nowhere/qemu"]) as program:
        assert listen(program, Heard(), seconds=SLOWEST) is End.GONE
        assert program.wait() != 0
    assert b"No such file" in program.complaints


def test_the_program_is_out_of_the_terminals_reach() -> None:
    with sh("ps -o sid= -o pgid= -p $$") as program:
        heard = Heard()
        assert listen(program, heard) is End.GONE
    session, group = map(int, heard.data.split())
    assert session == group != os.getsid(0)


def test_descriptors_are_handed_down(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    with (
        (tmp_path / "file").open() as file,
        Program(["/bin/cat", f"/dev/fd/{file.fileno()}"], keep=[file.fileno()]) as program,
    ):
        heard = Heard()
        assert listen(program, heard) is End.GONE
    assert heard.data == b"kept"


def test_keys_come_from_a_file_and_its_end_is_no_end(tmp_path: Path) -> None:
    keys = bytes(range(256)) * 2000  # more than a pipe holds, with the quit key in it
    (tmp_path / "keys").write_bytes(keys)
    with (tmp_path / "keys").open("rb") as file, sh(f"head -c {len(keys)}; echo end") as program:
        heard = Heard()
        assert listen(program, heard, keyboard=file.fileno(), seconds=SLOWEST) is End.GONE
    assert heard.data == keys + b"end\n"


def test_keys_for_a_program_that_does_not_listen(tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes(bytes(1 << 20))
    with (tmp_path / "keys").open("rb") as file, sh("exec 0<&-; sleep 0.3") as program:
        assert listen(program, Heard(), keyboard=file.fileno(), seconds=SLOWEST) is End.GONE


def test_a_signal_waits_until_all_is_tidy() -> None:
    order: list[str] = []
    before = signal.signal(signal.SIGTERM, lambda *_: order.append("delivered"))
    try:
        with joined(None) as alarm, sh("exec sleep 60") as program:
            threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGTERM]).start()
            assert listen(program, Heard(), alarm=alarm, seconds=SLOWEST) is End.SIGNAL
            program.end()
            order.append("tidy")
        assert order == ["tidy", "delivered"]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with joined(None) as alarm, sh("exec sleep 60") as program:
            os.kill(os.getpid(), signal.SIGHUP)
            assert listen(program, Heard(), alarm=alarm, seconds=0.3) is End.TIMEOUT
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_leaves_signals_alone() -> None:
    ends: list[End] = []

    def work() -> None:
        with joined(None) as alarm, sh("echo hi") as program:
            ends.append(listen(program, Heard(), alarm=alarm, seconds=SLOWEST))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(SLOWEST)
    assert ends == [End.GONE]


def test_write_all_waits_for_a_slow_reader() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    data = os.urandom(1 << 19)

    def work() -> None:
        write_all(writer, data)
        os.close(writer)

    thread = threading.Thread(target=work)
    thread.start()
    with os.fdopen(reader, "rb") as file:
        assert file.read() == data
    thread.join()


# A process that joins its terminal to a shell, as boot() does to QEMU; it prints the shell's pid.
JOIN = """
import os, sys
from rootfs.vm.guest_console import Program, joined, listen, write_all
with joined(0) as alarm, Program(["/bin/sh", "-c", sys.argv[1]]) as program:
    end = listen(program, lambda data: write_all(1, data), keyboard=0, alarm=alarm)
    if sys.argv[2:]:
        raise RuntimeError("on purpose")
print("ended:", end.name, flush=True)
"""


def test_keys_go_to_the_program_and_the_quit_key_ends_it() -> None:
    with Terminal(JOIN, "echo ready; exec sleep 60") as terminal:
        terminal.expect(b"ready")
        assert not terminal.restored()
        child = terminal.child()
        terminal.type(b"a\x03\x1a\x04\x1c\x1d")  # Ctrl-C Z D \ would end or stop us if not raw
        terminal.expect(b"ended: QUIT")
        assert terminal.process.wait(SLOWEST) == 0
        assert terminal.restored()
        assert gone(child)


def test_ctrl_c_reaches_the_program_as_a_byte() -> None:
    with Terminal(JOIN, "echo ready; head -c 3 | od -An -tx1") as terminal:
        terminal.expect(b"ready")
        terminal.type(b"\x03\x04\r")
        terminal.expect(b"03 04 0d")
        terminal.expect(b"ended: GONE")
        assert terminal.process.wait(SLOWEST) == 0
        assert terminal.restored()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_and_restores_the_terminal(number: int) -> None:
    with Terminal(JOIN, "echo ready; exec sleep 60") as terminal:
        terminal.expect(b"ready")
        child = terminal.child()
        terminal.process.send_signal(number)
        assert terminal.process.wait(SLOWEST) == -number
        assert terminal.restored()
        assert gone(child)


def test_an_exception_restores_the_terminal() -> None:
    with Terminal(JOIN, "echo ready", "raise") as terminal:
        terminal.expect(b"on purpose")
        assert terminal.process.wait(SLOWEST) == 1
        assert terminal.restored()


def test_kill_9_leaves_no_program() -> None:
    with Terminal(JOIN, "echo ready; exec sleep 60") as terminal:
        terminal.expect(b"ready")
        child = terminal.child()
        terminal.process.kill()
        assert gone(child)


def test_a_terminal_that_goes_away() -> None:
    with Terminal(JOIN, "echo ready; exec sleep 60") as terminal:
        terminal.expect(b"ready")
        child = terminal.child()
        terminal.process.send_signal(signal.SIGHUP)
        os.close(terminal.master)
        terminal.master = os.open(os.devnull, os.O_RDWR)
        assert terminal.process.wait(SLOWEST) == -signal.SIGHUP
        assert gone(child)
