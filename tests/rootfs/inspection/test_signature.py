"""rootfs/inspection/signature.py without ssh-keygen; tests/tasks/test_inspect.py signs with it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from plan.errors import BuildError
from rootfs.inspection import signature


@pytest.mark.fault(
    "a key in a device that nobody touches, or an ssh-agent that hangs",
    "after a minute one error says so",
)
def test_a_signature_that_does_not_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "ssh-keygen"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", os.fspath(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(signature, "_SECONDS", 0.2)
    with pytest.raises(BuildError, match=r"does not end within 0\.2 s") as caught:
        signature._run("sign", ["-f", "key"], tmp_path / "key", "", b"text")
    assert caught.value.where == str(tmp_path / "key") and caught.value.hint
