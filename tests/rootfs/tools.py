"""Shared by the tests of the disk formats: real tools, random trees, property tests."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

# The administrators' tools are not on every user's PATH; mtools and cpio print local times.
ENVIRONMENT = {
    "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
}
# The same few examples in every run; BQ2_TEST_EXAMPLES=1000 looks for new ones.
EXAMPLES = os.environ.get("BQ2_TEST_EXAMPLES")
quick = settings(
    max_examples=int(EXAMPLES or 15),
    derandomize=EXAMPLES is None,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)

contents = st.one_of(st.binary(max_size=40), st.integers(500, 5000).map(lambda size: b"x" * size))


def tool(*argv: str | Path, stdin: bytes | None = None, cwd: Path | None = None) -> str:
    """Run a tool that has to succeed; what it printed to standard output."""
    result = subprocess.run(
        argv, input=stdin or b"", cwd=cwd, env=ENVIRONMENT, capture_output=True, check=False
    )
    output = result.stdout.decode() + result.stderr.decode()
    assert result.returncode == 0, f"{argv} ended with {result.returncode}:\n{output}"
    return result.stdout.decode()


def shadow(name: str, script: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program of sh, written into `directory`, before the one called `name` on the PATH."""
    program = directory / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", os.fspath(directory), prepend=os.pathsep)


def make_tree(top: Path, files: dict[str, bytes]) -> Path:
    """A tree of regular files with those contents, and the directories that they need."""
    for path, data in files.items():
        file = top / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    top.mkdir(parents=True, exist_ok=True)
    return top


def snapshot(top: Path) -> dict[str, tuple[int, bytes, str]]:
    """path: (mode, contents or link's target, first path of the same inode) of all in a tree."""
    first: dict[int, str] = {}
    result = {}
    for path in sorted(top.rglob("*")):
        name = os.fspath(path.relative_to(top))
        status = path.lstat()
        data = b""
        if stat.S_ISLNK(status.st_mode):
            data = os.fsencode(path.readlink())
        elif stat.S_ISREG(status.st_mode):
            data = path.read_bytes()
        regular = stat.S_ISREG(status.st_mode)
        same = first.setdefault(status.st_ino, name) if regular else name
        result[name] = (status.st_mode, data, same)
    return result
