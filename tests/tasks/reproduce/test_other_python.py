"""Another Python: the newest one on the PATH that can run this project."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.reproduce import other_python


@pytest.fixture(autouse=True)
def _forget() -> None:
    other_python.another.cache_clear()


def test_what_cannot_run_this_project_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "python3").symlink_to(sys.executable)  # the same as this one
    for name, text in (("python3.99", "exit 1"), ("python3.98", "echo '[3, 10, 1]'")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "python3-config").write_text("no Python")
    monkeypatch.setenv("PATH", os.pathsep.join(["", "relative", "/nowhere", os.fspath(tmp_path)]))
    assert other_python.another() is None


def test_one_of_another_minor_version_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    major, minor = sys.version_info[:2]
    for name, version in (("python3", (major, minor, 99)), ("python3.90", (major, minor + 1, 0))):
        (tmp_path / name).write_text(f"#!/bin/sh\necho '{list(version)}'\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    found = other_python.another()
    assert found and found.program == os.fspath(tmp_path / "python3.90")
    assert found.name == f"{major}.{minor + 1}.0"


def test_a_real_one_reads_the_libraries_of_this_one() -> None:
    if not (found := other_python.another()):
        pytest.skip("needs another Python on the PATH")
    told = subprocess.run(
        [found.program, "-B", "-c", "import doit, yaml; print(yaml.safe_load('a: 1'))"],
        env={"PYTHONPATH": other_python.libraries()},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "{'a': 1}\n"
