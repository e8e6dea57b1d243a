"""Booting with real QEMU and firmware and minimal guests (efi_guest.py).

Scripts replace QEMU for errors that a working QEMU never has. If BQ2_TEST_IMAGE is set, the
project's own image boots too (the end-to-end test sets it).
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from plan.errors import BuildError
from rootfs.vm import boot, transcript
from rootfs.vm.qemu import Machine
from tests.rootfs import efi_guest
from tests.rootfs.terminal import SLOWEST, Terminal, gone

MACHINE = Machine("x86_64", accel="tcg")
ANSWER = b"noise\r\n=== bq2 run start\r\nhello\r\n=== bq2 run exit 3\r\n"

BOOT = """
import sys
from pathlib import Path
from rootfs.vm import boot
from rootfs.vm.qemu import Machine
boot.boot(Path(sys.argv[1]), Machine("x86_64", accel="tcg"))
print("over", flush=True)
"""


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory where temporary files, and so the logs of failed runs, go."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(directory))
    return directory


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.img"
    path.write_bytes(bytes(1 << 20))
    return path


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logs: Path) -> Path:
    """A shell script in QEMU's place: write to the path that this returns."""
    directory = tmp_path / "bin"
    directory.mkdir()
    script = directory / "qemu-system-x86_64"
    script.touch(0o755)
    (tmp_path / "code.fd").write_bytes(b"code")
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    monkeypatch.setenv("BQ2_FIRMWARE", str(tmp_path / "code.fd"))
    return script


def test_an_answer(fake: Path, image: Path, logs: Path) -> None:
    fake.write_text(r"""#!/bin/sh
        for word; do case $word in name=opt/bq2/run,file=*) file=${word#*file=};; esac; done
        printf 'kernel\r\n=== bq2 run start\r\n'
        cat "$file"
        printf '\r\n=== bq2 run exit 3\r\nreboot: Power down\r\n'
    """)
    command = "echo 'a,b' | wc -c\n# über"
    result = boot.run(image, command, MACHINE, timeout_s=20)
    assert (result.status, result.output, result.powered_off) == (3, command + "\n", True)
    assert 0 < result.seconds_to_run <= result.seconds < 20
    assert list(logs.iterdir()) == []


@pytest.mark.fault(
    "no process can be started for QEMU (memory, ulimit -u)", "one error that names QEMU"
)
def test_no_process_for_qemu(
    fake: Path, image: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", f"{tmp_path}/no-python")
    with pytest.raises(BuildError, match="cannot be started: No such file") as caught:
        boot.run(image, "true", MACHINE, log=tmp_path / "log")
    assert caught.value.where == str(fake)


def test_a_log_of_ones_own_is_kept(fake: Path, image: Path, tmp_path: Path) -> None:
    fake.write_text("#!/bin/sh\nprintf '=== bq2 run start\n=== bq2 run exit 0\n'\n")
    log = tmp_path / "some/where/console.log"
    assert boot.run(image, "true", MACHINE, log=log).status == 0
    lines = log.read_text().splitlines()
    assert lines[0].startswith(f"$ {fake} ")
    assert lines[1:] == ["=== bq2 run start", "=== bq2 run exit 0"]


def test_a_guest_that_answers_but_stays_on(fake: Path, image: Path) -> None:
    fake.write_text("#!/bin/sh\nprintf '=== bq2 run start\n=== bq2 run exit 0\n'; exec sleep 60\n")
    result = boot.run(image, "true", MACHINE, timeout_s=4)
    assert (result.status, result.powered_off) == (0, False)


@pytest.mark.parametrize(
    ("script", "message", "tail"),
    [
        ("echo Booting; exec sleep 60", "the guest did not answer within 4 s", "Booting"),
        ("echo Booting", "the guest powered off before it had answered", "Booting"),
        (
            "echo '=== bq2 run start'; echo half; exec sleep 60",
            "the command did not end within 4 s",
            "half",
        ),
        (
            "echo '=== bq2 run start'; echo half",
            "the guest powered off before the command had ended",
            "half",
        ),
        (
            "echo 'Kernel panic - not syncing: no init'; echo trace; exec sleep 60",
            "the guest's kernel panicked: Kernel panic - not syncing: no init",
            "trace",
        ),
        ("echo 'no such device' >&2; exit 1", "QEMU ended with status 1", "no such device"),
        (
            "echo 'fw_cfg device not available' >&2; exit 1",
            "QEMU ended with status 1",
            "doit boot without run= starts a shell in it",
        ),
        ("echo Booting; kill -SEGV $$", "QEMU ended by signal 11", "Booting"),
        (
            "echo '=== bq2 run start'; exec head -c 3000000 /dev/zero",
            "the console got more than 1 MiB",
            "=== bq2 run start",
        ),
        (
            "echo 'KVM internal error. Suberror: 1' >&2; exec sleep 60",
            "KVM cannot run the guest",
            "use accel tcg",
        ),
    ],
)
def test_no_answer(
    fake: Path,
    image: Path,
    logs: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    message: str,
    tail: str,
) -> None:
    monkeypatch.setattr(transcript, "LONGEST", 1 << 20)
    fake.write_text(f"#!/bin/sh\n{script}\n")
    with pytest.raises(BuildError) as caught:
        boot.run(image, "true", MACHINE, timeout_s=4 if "within" in message else 60)
    assert caught.value.message == message
    assert caught.value.where == str(image)
    assert tail in str(caught.value.hint)
    assert ("timeout=MINUTES" in str(caught.value.hint)) == ("within" in message)
    (log,) = logs.iterdir()
    assert str(log) in str(caught.value.hint)
    assert log.read_text(errors="replace").startswith(f"$ {fake}")


def test_time_to_prompt(fake: Path, image: Path, logs: Path) -> None:
    fake.write_text(
        "#!/bin/sh\nprintf 'boot # 1\n'; sleep 0.5; printf '\\033[1m/ # \\033[m'; exec sleep 60\n"
    )
    assert 0.5 <= boot.time_to_prompt(image, MACHINE, prompt="# ", timeout_s=20) < 20
    assert list(logs.iterdir()) == []
    with pytest.raises(BuildError, match="did not answer within 1 s"):
        boot.time_to_prompt(image, MACHINE, prompt="login: ", timeout_s=1)


def test_what_is_missing(tmp_path: Path, image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for call in (
        lambda path: boot.boot(path, MACHINE),
        lambda path: boot.run(path, "true", MACHINE),
        lambda path: boot.time_to_prompt(path, MACHINE),
    ):
        with pytest.raises(BuildError, match="no such image"):
            call(tmp_path / "nothing.qcow2")
    with pytest.raises(BuildError, match="no command"):
        boot.run(image, " \n", MACHINE)
    for log in (image / "console.log", Path("/dev/full")):
        with pytest.raises(BuildError, match="console cannot be recorded") as caught:
            boot.run(image, "true", MACHINE, log=log)
        assert caught.value.where == str(log)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BuildError, match="qemu-system-x86_64 is not installed"):
        boot.run(image, "true", MACHINE)


@pytest.mark.qemu
@pytest.mark.parametrize("call", [boot.boot, boot.time_to_prompt])
def test_an_image_that_qemu_refuses(image: Path, logs: Path, call: object) -> None:
    image.write_bytes(b"QFI\xfb" + bytes(1000))
    with pytest.raises(BuildError, match="QEMU ended with status 1") as caught:
        if call is boot.boot:
            boot.boot(image, MACHINE, keyboard=None)
        else:
            boot.time_to_prompt(image, MACHINE)
    assert "QEMU said:" in str(caught.value.hint)
    assert str(image) in str(caught.value.hint)


@pytest.mark.qemu
def test_a_real_guest_answers(tmp_path: Path, logs: Path) -> None:
    disk = efi_guest.disk(tmp_path / "a,b.img", ANSWER, "power off")
    disk.chmod(0o444)
    before = digest(disk)
    result = boot.run(disk, "anything", Machine("x86_64", accel="tcg", cpus=1), timeout_s=300)
    assert (result.status, result.output, result.powered_off) == (3, "hello\n", True)
    assert digest(disk) == before
    assert list(logs.iterdir()) == []


@pytest.mark.qemu
def test_the_keys_go_to_a_real_guest_and_the_terminal_comes_back(tmp_path: Path) -> None:
    disk = efi_guest.disk(tmp_path / "disk.img", b"type:", "echo")
    with Terminal(BOOT, str(disk)) as terminal:
        terminal.expect(b"Ctrl-] ends QEMU")
        qemu = terminal.child()
        terminal.expect(b"type:", 300)
        assert not terminal.restored()
        terminal.type(b"a\x03b")
        terminal.expect(b"a\x03b")
        terminal.type(b"\x1d")
        terminal.expect(b"over")
        assert terminal.process.wait(SLOWEST) == 0
        assert terminal.restored()
        assert gone(qemu)


@pytest.mark.qemu
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_leaves_no_qemu(image: Path, number: int) -> None:
    with Terminal(BOOT, str(image)) as terminal:
        terminal.expect(b"Ctrl-] ends QEMU")
        qemu = terminal.child()
        terminal.process.send_signal(number)
        assert terminal.process.wait(SLOWEST) == -number
        assert gone(qemu)
        assert terminal.restored() or number == signal.SIGKILL


def test_without_a_terminal_the_console_is_shown_and_keys_are_passed(
    fake: Path, image: Path, tmp_path: Path
) -> None:
    fake.write_text("#!/bin/sh\nprintf '\\033[2J\\033[01;01HBds'; read a; echo \"got $a\"\n")
    (tmp_path / "keys").write_text("some\x1dthing\n")
    with (tmp_path / "keys").open() as keys, (tmp_path / "shown").open("w") as shown:
        boot.boot(image, MACHINE, keyboard=keys.fileno(), screen=shown.fileno())
    assert (tmp_path / "shown").read_text() == "Bdsgot some\x1dthing\n"


def test_a_reader_that_goes_away(fake: Path, image: Path) -> None:
    fake.write_text("#!/bin/sh\nwhile :; do echo more; sleep 0.05; done\n")
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.raises(BuildError, match="cannot be shown: Broken pipe"):
        boot.boot(image, MACHINE, keyboard=None, screen=writer)
    os.close(writer)


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        ([b"Linux\r\n", b"\x1b[2J"], b"Linux\r\n\x1b[2J"),
        ([b"\x1b[2J\x1b[01;01H\x1b[=3hBds\x1b[1m"], b"Bds"),
        ([b"\x1b", b"[2", b"J\x1b[01;0", b"1HBds", b"\x1b[1m"], b"Bds\x1b[1m"),
        ([b"\x1b" + b"7" * 20], b"\x1b" + b"7" * 20),
    ],
)
def test_the_firmware_does_not_clear_the_screen(pieces: list[bytes], shown: bytes) -> None:
    opening = boot._Opening()
    assert b"".join(opening.passed(piece) for piece in pieces) == shown


@pytest.mark.qemu
@pytest.mark.parametrize(
    ("command", "status", "output"),
    [
        ("true", 0, ""),
        ("printf 'no newline'; exit 7", 7, "no newline"),
        ("echo out; echo err >&2; false", 1, "out\nerr\n"),
        # The guest may write where it likes: what is checked is that the image keeps its bytes.
        (
            "dd if=/dev/zero of=/dev/vda bs=1M count=4 2>&1 | grep -c 4+0",
            0,
            "2\n",
        ),
    ],
)
def test_the_projects_image(real_image: Path, command: str, status: int, output: str) -> None:
    before = digest(real_image)
    result = boot.run(real_image, command, Machine("x86_64"))
    assert (result.status, result.output, result.powered_off) == (status, output, True)
    assert digest(real_image) == before


@pytest.mark.qemu
def test_the_projects_image_a_year_later(real_image: Path) -> None:
    later = time.time() + 365 * 86400
    result = boot.run(real_image, "date +%s", Machine("x86_64", days_ahead=365))
    assert abs(int(result.output) - later) < 120


@pytest.mark.qemu
def test_the_projects_image_reaches_its_prompt(real_image: Path) -> None:
    assert boot.time_to_prompt(real_image, Machine("x86_64")) > 0
