"""The way to a machine that does not answer. tests/test_push.py reaches one that runs."""

from __future__ import annotations

import re
import socket
import subprocess
from pathlib import Path

import pytest

from plan.errors import BuildError
from rootfs.push.reach import STEPS, USUAL_KEYS, Answer, Refused, Silent, Way
from tests.rootfs.tools import tool

# dropbear refuses a longer command (MAX_CMD_LEN).
LONGEST = 9000


@pytest.mark.fault(
    "the machine to update is off, or its name is wrong", "ssh's reason, and a remedy"
)
@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-machine.invalid"])
def test_nobody_is_there(host: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there, and nobody else can
        way = Way(host, taken.getsockname()[1], known=tmp_path / "known")
        with pytest.raises(Silent, match="it cannot be reached: ssh: ") as caught:
            way.step("look")
    assert caught.value.where == host
    assert "does its console say that ssh is open" in (caught.value.hint or "")


@pytest.mark.fault("the path of the checkout has spaces or a %", "ssh keeps a machine's key there")
def test_any_path_is_one_file(tmp_path: Path) -> None:
    known = tmp_path / f"50%x{' a' * 40}" / "web-22"
    argv = Way("web", keys=(known.with_name("key"),), known=known)._argv("")
    told = tool("ssh", "-G", *argv[1:]).splitlines()
    assert f"userknownhostsfile {known}" in told
    assert f"identityfile {known.with_name('key')}".replace("%", "%%") in told


@pytest.mark.fault(
    "`push to=HOST` after `./bq2 boot`, and only the person's usual key opens the machine",
    "ssh tries that key too, not only the one that boot made",
)
def test_the_usual_keys_are_tried_too(tmp_path: Path) -> None:
    def tried(way: Way) -> set[str]:
        lines = tool("ssh", "-G", *way._argv("")[1:]).splitlines()
        return {line.split()[1] for line in lines if line.startswith("identityfile ")}

    key = tmp_path / "key"
    usual = {f"~/.ssh/{name}" for name in USUAL_KEYS}
    assert usual <= tried(Way("web"))
    assert usual | {str(key)} <= tried(Way("web", keys=(key,)))
    assert tried(Way("web", keys=(key,), alone=True)) == {str(key)}


def test_the_steps_fit_into_one_command() -> None:
    assert len(STEPS.read_bytes()) + 500 < LONGEST


def test_shellcheck() -> None:
    tool("shellcheck", "-s", "sh", STEPS)


@pytest.mark.parametrize(
    ("why", "message"),
    [
        ("foreign", "it is no machine of bootstrap-qcow2"),
        ("full 100 7000", "too full: 100 KiB are free, 7000 are needed"),
        ("readonly", "takes no writing"),
        ("unreadable /dev/vda1", "/dev/vda1 cannot be mounted for writing"),
    ],
)
def test_each_reason_of_a_machine_has_words(why: str, message: str) -> None:
    error: BuildError = Refused("web", why, Answer.of(""))
    assert message in error.message and error.hint and error.where == "web"


@pytest.mark.fault("`push` to a machine whose answer makes no sense", "its words are told")
@pytest.mark.parametrize("why", ["full 3", "unreadable", "", "what {0} {}"])
def test_a_reason_that_makes_no_sense(why: str) -> None:
    assert Refused("web", why, Answer.of("")).message == f"the step failed there: {why}"


@pytest.mark.fault(
    "`push key=FILE` with a file that is no private key, or that others may read",
    "ssh's own reason is told, not only that the machine does not let it in",
)
@pytest.mark.parametrize(
    ("mode", "reason"), [(0o644, "Permissions 0644 for .* are too open"), (0o600, "Load key ")]
)
def test_a_key_that_ssh_cannot_use(tmp_path: Path, mode: int, reason: str) -> None:
    """ssh-keygen reads a key as ssh does, and says the same of it."""
    key = tmp_path / "key"
    key.write_text("no key\n")
    key.chmod(mode)
    asked = subprocess.run(
        ["ssh-keygen", "-y", "-f", key], capture_output=True, text=True, check=False
    )
    said = f"{asked.stderr}root@web: Permission denied (publickey).\n".encode()
    error = Way("web")._failed(subprocess.CompletedProcess([], 255, b"", said))
    assert re.search(f"ssh cannot use the key: {reason}", str(error)), error
    assert "chmod 600" in str(error)
