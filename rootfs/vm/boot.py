"""Boots an image: interactively, to run one command, or to measure the boot time.

The image does not change (unless `persist`). QEMU ends with the call or with this process. If the
guest fails, a BuildError shows the end of its console and names the file with the whole console.

    boot             keys --> guest --> terminal
    run              command --> fw_cfg file opt/bq2/run --> guest's init --> answer on the
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
from plan.typed import MORE_TIME, typed
from rootfs.vm.fallen import Watch
from rootfs.vm.guest_console import End, Program, joined, listen, write_all
from rootfs.vm.qemu import Emulator, Machine, distrust_kvm, find_emulator
from rootfs.vm.transcript import Transcript, last_lines, parse, plain

# The end of what a console of the image shows: plan/recipes/init/lib/login.
PROMPT = "Press Enter for a shell of root (no password exists): "
# QEMU 7.2 creates fw_cfg of riscv64 too late and prints this error.
_NO_FW_CFG = b"fw_cfg device not available"


@dataclass(frozen=True)
class Result:
    """The result of a command in the guest.

    status: its exit status. output: its output, lines end with "\\n" (bytes that are not UTF-8 are
    replaced). seconds_to_run: from the start of QEMU to the start of the command. seconds: to the
    end of QEMU. powered_off: False if the guest answered but did not power off in time.
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
    all keys, also Ctrl-C, go to the guest; Ctrl-] ends QEMU. If `keyboard` is not a terminal, its
    bytes go to the guest, and its end does not stop the guest. None: no input.
    persist: keep the guest's writes in `image`.
    Raises BuildError if the image, QEMU or the firmware is missing, or QEMU fails; and at the end
    if a program of the guest did not stay up, which is the end if nobody is at a terminal. A
    SIGINT, SIGTERM or SIGHUP ends QEMU; then the former handler gets the signal.
    """
    emulator = _emulator(image, machine)
    sys.stdout.flush()
    at_terminal = keyboard is not None and os.isatty(keyboard)
    opening, watch = _Opening(), Watch()

    def show(data: bytes) -> bool:
        write_all(screen, opening.passed(data))
        return watch.heard(data) and not at_terminal

    try:
        with joined(keyboard) as alarm:
            if at_terminal:
                write_all(screen, b"The keys go to the guest; Ctrl-] ends QEMU.\r\n")
            with Program(emulator.command(image=image, persist=persist)) as program:
                end = listen(program, show, keyboard=keyboard, alarm=alarm)
                status = program.wait() if end is End.GONE else 0
            if at_terminal:
                write_all(screen, b"\x1b[0m\r\n")  # resets colors that the guest may have set
    except OSError as error:
        raise BuildError(f"the guest's console cannot be shown: {error.strerror}") from error
    if end is End.FAULT or status:
        raise _qemu_failed(emulator, image, program, status)
    watch.require_up(os.fspath(image))


class _Opening:
    """Passes all output but the firmware's control sequences at the start.

    They clear the screen, and with it what the terminal shows.
    """

    def __init__(self) -> None:
        self._held = b""
        self._over = False

    def passed(self, data: bytes) -> bytes:
        """The part of the held bytes and `data` to show now."""
        if self._over:
            return data
        data = plain(self._held + data)
        # Hold a short piece that may be the start of a control sequence.
        self._over = bool(data) and not (data.startswith(b"\x1b") and len(data) < 16)
        self._held = b"" if self._over else data
        return data if self._over else b""


def run(
    image: Path,
    command: str,
    machine: Machine,
    *,
    timeout_s: float = 120,
    log: Path | None = None,
    persist: bool = False,
) -> Result:
    """Boots `image`, runs `command` in the guest's shell, and waits for the power-off.

    log: the file for the whole console; None: a temporary file, kept only if the call fails.
    persist: keep the guest's writes in `image`.
    Raises BuildError if the guest panics, powers off without an answer, or does not answer within
    `timeout_s` seconds, and in the cases of boot(). A command that fails is a Result.
    """
    if not command.strip():
        raise BuildError("no command to run in the guest")
    emulator = _emulator(image, machine)
    with tempfile.TemporaryFile() as file, _recording(log) as record:
        file.write(command.encode())
        file.flush()
        # QEMU inherits an unnamed file: no clean-up, and the command is not in the process list.
        argv = emulator.command(image=image, persist=persist, run=f"/dev/fd/{file.fileno()}")
        record.write(f"$ {shlex.join(argv)}\n".encode())
        with Program(argv, keep=[file.fileno()]) as program:
            transcript = Transcript(record, program.started)
            end = listen(program, transcript.heard, seconds=timeout_s)
            if end is End.ENOUGH:  # the lines after a panic explain it
                listen(program, transcript.recorded, seconds=1)
            status = program.wait() if end is End.GONE else 0
    seconds = time.monotonic() - program.started
    answer = parse(bytes(transcript.console))
    if end is End.FAULT or status:
        raise _qemu_failed(emulator, image, program, status, transcript)
    if answer is None or end is End.ENOUGH:
        raise _no_answer(image, transcript, end, timeout_s, MORE_TIME)
    if log is None:
        transcript.path.unlink()
    return Result(*answer, transcript.run_started or seconds, seconds, end is End.GONE)


def time_to_prompt(
    image: Path, machine: Machine, *, prompt: str = PROMPT, timeout_s: float = 120
) -> float:
    """Seconds from QEMU's start until the console's last line ends with `prompt`.

    Control sequences around the prompt are ignored. The guest is killed, not shut down.
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
        raise BuildError("no such image", where=os.fspath(image), hint=f"{typed('image')} makes it")
    return find_emulator(machine)


@contextlib.contextmanager
def _recording(path: Path | None) -> Iterator[IO[bytes]]:
    """The file for the console, unbuffered for `tail -f`; None: a temporary file."""
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
    """QEMU failed with `status` (negative: a signal); 0 means that KVM failed."""
    said = _section("QEMU said", bytes(program.complaints)) + _console(transcript)
    if _NO_FW_CFG in program.complaints:
        said.insert(0, "this QEMU cannot pass a command to such a machine; install a newer one")
        said.insert(1, f"{typed('boot')} without run= starts a shell in it")
    if status:
        how = f"by signal {-status}" if status < 0 else f"with status {status}"
        return BuildError(f"QEMU ended {how}", where=os.fspath(image), hint="\n  ".join(said))
    noted = distrust_kvm(emulator)
    hint = ["try again: QEMU then runs without KVM" if noted else "use accel tcg", *said]
    return BuildError("KVM cannot run the guest", where=os.fspath(image), hint="\n  ".join(hint))


def _no_answer(
    image: Path, transcript: Transcript, end: End, timeout_s: float, remedy: str = ""
) -> BuildError:
    """What ended without an answer. remedy: what helps a guest that only needs more time."""
    message = transcript.complaint(None if end is End.GONE else timeout_s)
    late = end is End.TIMEOUT and not transcript.panicked
    hint = [*([remedy] if late and remedy else []), *_console(transcript)]
    return BuildError(message, where=os.fspath(image), hint="\n  ".join(hint))


def _console(transcript: Transcript | None) -> list[str]:
    if transcript is None:
        return []
    tail = _section("the console ended with", bytes(transcript.console))
    return [*tail, f"the whole console: {transcript.path}"]


def _section(title: str, text: bytes) -> list[str]:
    lines = last_lines(text)
    return [f"{title}:", *(f"  {line}" for line in lines)] if lines else []
