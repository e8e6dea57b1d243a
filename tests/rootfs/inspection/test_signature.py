"""rootfs/inspection/signature.py without ssh-keygen; tests/tasks/test_inspect.py signs with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from plan.errors import BuildError
from rootfs.inspection import signature
from tests.rootfs.tools import shadow, tool


@pytest.mark.fault(
    "a key in a device that nobody touches, or an ssh-agent that hangs",
    "after a minute one error says so",
)
def test_a_signature_that_does_not_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shadow("ssh-keygen", "exec sleep 60", tmp_path, monkeypatch)
    monkeypatch.setattr(signature, "_SECONDS", 0.2)
    with pytest.raises(BuildError, match=r"does not end within 0\.2 s") as caught:
        signature.signature(b"text", tmp_path / "key")
    assert caught.value.where == str(tmp_path / "key") and caught.value.hint


@pytest.mark.fault("the comment of a public key has letters that are not ASCII", "it is used")
def test_a_comment_in_any_encoding(tmp_path: Path) -> None:
    key, file = tmp_path / "key", tmp_path / "file"
    tool("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "José", "-f", key)
    public = key.with_suffix(".pub")
    file.write_text("text")
    signature.sign(file, key)
    for comment in ("José".encode(), "José".encode("latin-1")):
        public.write_bytes(b" ".join([*public.read_bytes().split()[:2], comment]))
        assert "Good" in signature.verify(file, public)
