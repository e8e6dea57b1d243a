"""Boots an image: for a person at the terminal, for one command, or for a stop-watch.

Guarantees: the image keeps its bytes (unless `persist`), QEMU ends with the call or with this
process, and a guest that does not do what was asked becomes a BuildError that shows the end of
its console and says where the whole of it lies.

    boot             keys --> guest --> terminal
    run              command --> fw_cfg file opt/bq2/run --> guest's init --> its answer on the
                     console (transcript.py) --> Result
    time_to_prompt   guest --> prompt --> seconds
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from plan.errors import BuildError
from rootfs.console import End, Program, joined, listen, write_all
from rootfs.qemu import Emulator, Machine, distrust_kvm, find_emulator
from rootfs.transcript import Transcript, last_lines, parse, plain

# QEMU 7.2 makes riscv64's fw_cfg only after it has looked for it.
_NO_FW_CFG = b"fw_cfg device not available"


@dataclass(frozen=True)
class Result:
    """What a command in the guest did.

    status: its exit status. output: what it printed, lines ended by "\\n" (bytes that are not
    UTF-8 are replaced). seconds_to_run: from QEMU's start to the command's. seconds: to QEMU's
    end. powered_off: False when the guest answered, but was still running when the time was up.
    """

    status: int
    output: str
    seconds_to_run: float
    seconds: float
    powered_off: bool


def boot(
    image: Path,
    machine: Machine,
    *,
    keyboard: int | None = 0,
    screen: int = 1,
    persist: bool = False,
) -> None:
    """Boots `image` with its serial console on this terminal, until it powers off.

    keyboard, screen: file descriptors, by default this process's input and output. On a terminal
    Ctrl-C and all other keys go to the guest, and Ctrl-] ends QEMU. Otherwise the bytes are the
    keys, and their end changes nothing; keyboard=None reads none.
    persist: what the guest writes goes into `image`.
    Raises BuildError when the image, QEMU or the firmware is missing, or QEMU fails. A SIGINT,
    SIGTERM or SIGHUP ends QEMU, and is then delivered again to its former handler.
    """
    emulator = _emulator(image, machine)
    sys.stdout.flush()
    at_terminal = keyboard is not None and os.isatty(keyboard)
    opening = _Opening()

    def show(data: bytes) -> bool:
        write_all(screen, opening.passed(data))
        return False

    try:
        with joined(keyboard) as alarm:
            if at_terminal:
                write_all(screen, b"The keys go to the guest; Ctrl-] ends QEMU.\r\n")
            with Program(emulator.command(image=image, persist=persist)) as program:
                end = listen(program, show, keyboard=keyboard, alarm=alarm)
                status = program.wait() if end is End.GONE else 0
            if at_terminal:
                write_all(screen, b"\x1b[0m\r\n")  # the colours that the guest may have left on
    except OSError as error:
        raise BuildError(f"the guest's console cannot be shown: {error.strerror}") from error
    if end is End.FAULT or status:
        raise _qemu_failed(emulator, image, program, status)


class _Opening:
    """Lets everything through but the firmware's clearing of the screen at the very start,
    which would wipe away what the terminal shows."""

    def __init__(self) -> None:
        self._held = b""
        self._over = False

    def passed(self, data: bytes) -> bytes:
        """The part of `data`, and of what was held back, that is to be shown."""
        if self._over:
            return data
        data = plain(self._held + data)
        # What may be the start of a sequence waits for its end, if that is near.
        self._over = bool(data) and not (data.startswith(b"\x1b") and len(data) < 16)
        self._held = b"" if self._over else data
        return data if self._over else b""


def run(
    image: Path, command: str, machine: Machine, *, timeout_s: float = 120, log: Path | None = None
) -> Result:
    """Boots `image`, has the guest run `command` with its shell, and waits for the power-off.

    log: gets the whole console; None: a temporary file, which is kept only if the call fails.
    Raises BuildError when the guest panics, powers off without an answer or gives none within
    `timeout_s` seconds, and for whatever boot() raises it. A command that fails is a Result.
    """
    if not command.strip():
        raise BuildError("no command to run in the guest")
    emulator = _emulator(image, machine)
    with tempfile.TemporaryFile() as file, _recording(log) as record:
        file.write(command.encode())
        file.flush()
        # A nameless file, handed down open: nothing to clean up, nothing in the process list.
        argv = emulator.command(image=image, run=f"/dev/fd/{file.fileno()}")
        record.write(f"$ {shlex.join(argv)}\n".encode())
        with Program(argv, keep=[file.fileno()]) as program:
            transcript = Transcript(record, program.started)
            end = listen(program, transcript.heard, seconds=timeout_s)
            if end is End.ENOUGH:  # the words that follow a panic tell more than the panic
                listen(program, transcript.recorded, seconds=1)
            status = program.wait() if end is End.GONE else 0
    seconds = time.monotonic() - program.started
    answer = parse(bytes(transcript.console))
    if end is End.FAULT or status:
        raise _qemu_failed(emulator, image, program, status, transcript)
    if answer is None or end is End.ENOUGH:
        raise _no_answer(image, transcript, end, timeout_s)
    if log is None:
        transcript.path.unlink()
    return Result(*answer, transcript.run_started or seconds, seconds, end is End.GONE)


def time_to_prompt(
    image: Path, machine: Machine, *, prompt: str = "# ", timeout_s: float = 120
) -> float:
    """Seconds from QEMU's start until the console's last line ends with `prompt`.

    Control sequences around the prompt do not count. The guest is then ended, not shut down.
    Raises BuildError as run() does.
    """
    emulator = _emulator(image, machine)
    with _recording(None) as record, Program(emulator.command(image=image)) as program:
        transcript = Transcript(record, program.started)

        def prompted(data: bytes) -> bool:
            return transcript.recorded(data) or transcript.last_line.endswith(prompt.encode())

        end = listen(program, prompted, seconds=timeout_s)
        seconds = time.monotonic() - program.started
        status = program.wait() if end is End.GONE else 0
    if end is End.FAULT or status:
        raise _qemu_failed(emulator, image, program, status, transcript)
    if end is not End.ENOUGH or transcript.too_long:
        raise _no_answer(image, transcript, end, timeout_s)
    transcript.path.unlink()
    return seconds


def _emulator(image: Path, machine: Machine) -> Emulator:
    if not image.is_file():
        raise BuildError("no such image", where=os.fspath(image), hint="`doit image` makes it")
    return find_emulator(machine)


@contextlib.contextmanager
def _recording(path: Path | None) -> Iterator[IO[bytes]]:
    """The file for the console, unbuffered so that it can be followed; None: a temporary one."""
    try:
        if path is None:
            handle, name = tempfile.mkstemp(prefix="bq2-console-", suffix=".log")
            os.close(handle)
            path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb", buffering=0) as record:
            yield record
    except OSError as error:
        where = os.fspath(path or tempfile.gettempdir())
        raise BuildError(
            f"the console cannot be recorded: {error.strerror}", where=where
        ) from error


def _qemu_failed(
    emulator: Emulator,
    image: Path,
    program: Program,
    status: int,
    transcript: Transcript | None = None,
) -> BuildError:
    """QEMU gave up: status other than 0 (negative: a signal), or 0 and KVM failed."""
    said = _section("QEMU said", bytes(program.complaints)) + _console(transcript)
    if _NO_FW_CFG in program.complaints:
        said.insert(0, "this QEMU hands no command to such a machine; newer ones do")
        said.insert(1, "`doit boot` without run= gives a shell in it")
    if status:
        how = f"by signal {-status}" if status < 0 else f"with status {status}"
        return BuildError(f"QEMU ended {how}", where=os.fspath(image), hint="\n  ".join(said))
    noted = distrust_kvm(emulator)
    hint = ["try again: QEMU will do without KVM" if noted else "use accel tcg", *said]
    return BuildError("KVM cannot run the guest", where=os.fspath(image), hint="\n  ".join(hint))


def _no_answer(image: Path, transcript: Transcript, end: End, timeout_s: float) -> BuildError:
    message = transcript.complaint(None if end is End.GONE else timeout_s)
    return BuildError(message, where=os.fspath(image), hint="\n  ".join(_console(transcript)))


def _console(transcript: Transcript | None) -> list[str]:
    if transcript is None:
        return []
    tail = _section("the console ended with", bytes(transcript.console))
    return [*tail, f"the whole console: {transcript.path}"]


def _section(title: str, text: bytes) -> list[str]:
    lines = last_lines(text)
    return [f"{title}:", *(f"  {line}" for line in lines)] if lines else []
