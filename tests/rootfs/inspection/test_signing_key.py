"""rootfs/inspection/signing_key.py: keys of every kind, good and bad."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from plan.errors import BuildError
from rootfs.inspection.signing_key import require_public, require_signing
from tests.rootfs.tools import tool


@pytest.fixture(autouse=True)
def no_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


def _pair(directory: Path, passphrase: str = "") -> Path:
    key = directory / "a key"
    tool("ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "", "-f", key)
    return key


def _good(directory: Path) -> Path:
    return _pair(directory)


def _public(directory: Path) -> Path:
    return _pair(directory).with_suffix(".pub")


def _lonely(directory: Path) -> Path:
    key = _pair(directory)
    key.unlink()
    return key.with_suffix(".pub")


def _open(directory: Path) -> Path:
    key = _pair(directory)
    key.chmod(0o644)
    return key


def _locked(directory: Path) -> Path:
    return _pair(directory, "secret")


def _cut(directory: Path) -> Path:
    key = _lonely(directory).with_suffix("")
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjE\n")
    key.chmod(0o600)
    return key


def _without_public(directory: Path) -> Path:
    """A key in a form that does not hold its public half."""
    key = directory / "a key"
    tool("ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-f", key)
    key.with_suffix(".pub").unlink()
    return key


def _text(directory: Path) -> Path:
    (directory / "a key").write_bytes(b"\xff\0 no key\n" * 99)
    return directory / "a key"


def _missing(directory: Path) -> Path:
    return directory / "a key"


@pytest.mark.parametrize("made", [_good, _public])
def test_what_can_sign(tmp_path: Path, made: Callable[[Path], Path]) -> None:
    require_signing(made(tmp_path))


def test_a_public_key_that_the_agent_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = _pair(tmp_path)
    said = subprocess.run(["ssh-agent", "-s"], capture_output=True, text=True, check=True).stdout
    found = dict(re.findall(r"(SSH_\w+)=([^;]+);", said))
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", found["SSH_AUTH_SOCK"])
        subprocess.run(["ssh-add", "-q", key], check=True)
        key.unlink()
        require_signing(key.with_suffix(".pub"))
    finally:
        os.kill(int(found["SSH_AGENT_PID"]), 15)


@pytest.mark.fault(
    "`publish`, `sign` with a key that is none, is cut off, public only, locked, or not private",
    "one error with the remedy, before anything is built or sent",
)
@pytest.mark.parametrize(
    ("made", "message", "remedy"),
    [
        (_lonely, "this is a public key, and its private key is not in ssh-agent", "ssh-add"),
        (_open, "others may read the private key", "chmod 600 '"),
        (_locked, "the private key has a passphrase", "ssh-add"),
        (_cut, "cannot sign with this private key", "says what is wrong"),
        (_without_public, "cannot sign with this private key", "a key' > '"),
        (_text, "this file is no SSH key", "ssh-keygen -t ed25519"),
        (_missing, "it cannot be read: No such file", ""),
    ],
)
def test_what_cannot_sign(
    tmp_path: Path, made: Callable[[Path], Path], message: str, remedy: str
) -> None:
    key = made(tmp_path)
    with pytest.raises(BuildError, match=message) as caught:
        require_signing(key)
    assert caught.value.where == f"key={key}"
    assert remedy in (caught.value.hint or "") and "\n" not in str(caught.value.hint)


def test_what_is_a_public_key(tmp_path: Path) -> None:
    key = _pair(tmp_path)
    require_public(key.with_suffix(".pub"))
    with pytest.raises(BuildError, match="no public key"):
        require_public(key)
