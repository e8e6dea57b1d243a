"""Reading a guest's console: tables of valid and invalid transcripts."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from rootfs.vm import transcript
from rootfs.vm.transcript import Transcript, last_lines, parse

FIRMWARE = b"\x1b[2J\x1b[01;01HBdsDxe: starting Boot0001\r\n[    1.0] random: noise\r\n"
START = b"=== bq2 run start\r\n"
POWER_DOWN = b"[    2.1] reboot: Power down\r\n"


@pytest.mark.parametrize(
    ("console", "answer"),
    [
        (START + b"=== bq2 run exit 0\r\n", (0, "")),
        (FIRMWARE + START + b"hi\r\n=== bq2 run exit 3\r\n" + POWER_DOWN, (3, "hi\n")),
        (b"=== bq2 run start\nhi\n=== bq2 run exit 255\n", (255, "hi\n")),
        (b"[ 1.0] half a line" + START + b"=== bq2 run exit 0\r\n", (0, "")),
        (START + b"no newline=== bq2 run exit 1\r\n", (1, "no newline")),
        (START + b"its own\r\r\n=== bq2 run exit 0\r\n", (0, "its own\r\n")),
        (START + b"\r\n\r\n=== bq2 run exit 0\r\n", (0, "\n\n")),
        (START + "späß \x1b[1m!\r\n".encode() + b"=== bq2 run exit 0\r\n", (0, "späß \x1b[1m!\n")),
        (START + b"\xff\r\n=== bq2 run exit 0\r\n", (0, "\ufffd\n")),
        # A command that prints the protocol's own lines.
        (
            START + START + b"=== bq2 run exit 0\r\n=== bq2 run exit 9\r\n",
            (9, "=== bq2 run start\n=== bq2 run exit 0\n"),
        ),
        # No answer.
        (b"", None),
        (FIRMWARE, None),
        (START, None),
        (START + b"hi\r\n" + POWER_DOWN, None),
        (START + b"=== bq2 run exit 12", None),
        (START + b"=== bq2 run exit \r\n", None),
        (START + b"=== bq2 run exit 1234\r\n", None),
        (START + b"=== bq2 run exit -1\r\n", None),
        (b"=== bq2 run exit 0\r\n" + START, None),
        (b"=== bq2 run starting\r\n=== bq2 run exit 0\r\n", None),
    ],
)
def test_parse(console: bytes, answer: tuple[int, str] | None) -> None:
    assert parse(console) == answer


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (b"", []),
        (b"\r\n \r\n", []),
        (b"\x1b[2J\x1b[01;01Ha\r\n\r\nb\x07\x00\r\n", ["a", "b"]),
        (b"\n".join(b"%d" % i for i in range(40)), [str(i) for i in range(25, 40)]),
        (b"x" * 1000, ["x" * 200]),
    ],
)
def test_last_lines(text: bytes, lines: list[str]) -> None:
    assert last_lines(text) == lines


def heard(directory: Path, *pieces: bytes) -> tuple[Transcript, list[bool]]:
    with (directory / "log").open("wb", buffering=0) as record:
        watched = Transcript(record, time.monotonic() - 10)
        return watched, [watched.heard(piece) for piece in pieces]


def test_the_start_is_timed_though_it_comes_in_pieces(tmp_path: Path) -> None:
    watched, stops = heard(tmp_path, FIRMWARE, START[:9], START[9:], b"hi\r\n")
    assert not any(stops)
    assert watched.run_started == pytest.approx(10, abs=2)
    assert (tmp_path / "log").read_bytes() == bytes(watched.console)
    assert bytes(watched.console) == FIRMWARE + START + b"hi\r\n"


PANIC = b"[    1.2] Kernel panic - not syncing: VFS: Unable to mount\r\n"


@pytest.mark.parametrize(
    ("pieces", "stops", "within_s", "complaint"),
    [
        ([FIRMWARE], False, 5.0, "the guest did not answer within 5 s"),
        ([FIRMWARE], False, None, "the guest powered off before it had answered"),
        ([START], False, 2.5, "the command did not end within 2.5 s"),
        ([START], False, None, "the guest powered off before the command had ended"),
        (
            [FIRMWARE, PANIC[:20], PANIC[20:]],
            True,
            None,
            "the guest's kernel panicked: Kernel panic - not syncing: VFS: Unable to mount",
        ),
        # After the start the text may be the command's: no reason to stop, but worth saying.
        (
            [START, PANIC],
            False,
            5.0,
            "the guest's kernel panicked: Kernel panic - not syncing: VFS: Unable to mount",
        ),
    ],
)
def test_complaint(
    tmp_path: Path, pieces: list[bytes], stops: bool, within_s: float | None, complaint: str
) -> None:
    watched, stopped = heard(tmp_path, *pieces)
    assert stopped[-1] is stops
    assert watched.complaint(within_s) == complaint


def test_a_flood_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcript, "LONGEST", 1 << 20)
    watched, stops = heard(tmp_path, START, bytes(1 << 20))
    assert stops == [False, True]
    assert watched.complaint(1) == "the console got more than 1 MiB"


@pytest.mark.parametrize(
    ("console", "last"),
    [
        (b"booting\r\n/ # ", b"/ # "),
        (b"booting\r\n\x1b[1;32m~\x1b[m # \x1b[6n", b"~ # "),
        (b"# \r\n", b""),
        (b"", b""),
    ],
)
def test_last_line(tmp_path: Path, console: bytes, last: bytes) -> None:
    watched, _ = heard(tmp_path, console)
    assert watched.last_line == last
