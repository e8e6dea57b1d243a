"""File systems of other kinds, really made and mounted; nothing of them stays."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rootfs.sandbox import host
from tasks.reproduce.other_file_system import MAKERS, other_kind, refused
from tests.nobody import IS_ROOT
from tests.tasks.toy import ROOT

pytestmark = pytest.mark.namespace

# In a process of its own, because it leaves the mounts of the tests.
MOUNT = """\
import json, os, pathlib, sys
from rootfs.sandbox import host
from tasks.reproduce import other_file_system
top, kind = pathlib.Path(sys.argv[1]), sys.argv[2]
other_file_system.MAKERS = {kind: other_file_system.MAKERS[kind]}
with other_file_system.mounted(top / "disk") as disk:
    (disk / "file").write_text("here")
    print(json.dumps([host.file_system(disk), os.listdir(top)]), flush=True)
    sys.stdin.readline()
print(json.dumps(os.listdir(top / "disk")))
"""


@pytest.mark.parametrize("kind", MAKERS)
def test_only_this_process_sees_it(tmp_path: Path, kind: str) -> None:
    if not (IS_ROOT and shutil.which(MAKERS[kind][0]) and Path("/dev/loop-control").exists()):
        pytest.skip(f"needs root, {MAKERS[kind][0]} and a loop device")
    if kind == host.file_system(tmp_path):
        pytest.skip(f"the tests run on {kind}")
    command = [sys.executable, "-c", MOUNT, os.fspath(tmp_path), kind]
    with subprocess.Popen(
        command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin and process.stdout
        assert json.loads(process.stdout.readline()) == [kind, ["disk"]]
        assert list((tmp_path / "disk").iterdir()) == []  # seen from here
        process.stdin.write("\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline()) == []
    assert process.returncode == 0


def test_it_is_another_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = host.file_system(tmp_path)
    assert other_kind(tmp_path) != own
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    assert other_kind(tmp_path) == ""
    wanted = "none of mkfs.xfs, mkfs.btrfs, mkfs.ext4" if IS_ROOT else "only root mounts"
    assert refused(tmp_path).startswith(wanted)
