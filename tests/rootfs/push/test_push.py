"""rootfs/push/push.py, where no machine is needed. tests/test_push.py updates one that runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from plan.errors import BuildError
from rootfs.push import push
from rootfs.push.facts import Parts
from rootfs.push.reach import Way
from tests.rootfs.tools import shadow


@pytest.mark.fault(
    "the command of `push run=` does not end", "the new image is not kept; timeout= is the remedy"
)
def test_a_command_that_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = tmp_path / "asked"
    script = (
        f'for last; do :; done\nprintf "%s\\n" "$last" >> {asked}\n'
        "case $last in slow) exec sleep 60;; esac"
    )
    shadow("ssh", script, tmp_path, monkeypatch)
    file = tmp_path / "kernel"
    new = push.Next("x86_64", file, file, Parts("", ""), "", command="slow", command_s=0.5)
    said: list[str] = []
    with pytest.raises(BuildError, match="did not end there") as caught:
        push._keep(Way("127.0.0.1"), new, "vda1", "B", "token", said.append)
    assert "timeout=MINUTES" in str(caught.value.hint)
    assert said == ["127.0.0.1: starts again, with the old image"]
    words = [line for line in asked.read_text().splitlines() if line.startswith("set -- ")]
    assert words == ["set -- again"]
