"""rootfs/inspection/signature.py without ssh-keygen; tests/tasks/test_inspect.py signs with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from plan.errors import BuildError
from rootfs.inspection import signature
from tests.rootfs.tools import shadow


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
