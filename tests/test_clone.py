"""A clone has the bytes of the repository, for every line-ending setting of git."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checkout import copy_project
from tests.rootfs.tools import tool

AUTHOR = ("-c", "user.name=x", "-c", "user.email=x@example.org")


def contents(root: Path) -> dict[str, bytes]:
    files = [path for path in root.rglob("*") if path.is_file()]
    held = {str(path.relative_to(root)): path.read_bytes() for path in files}
    return {path: content for path, content in held.items() if not path.startswith(".git/")}


@pytest.mark.fault(
    "git is set to change the ends of lines (core.autocrlf, core.eol)",
    "a clone has the bytes of the repository all the same",
)
@pytest.mark.parametrize("setting", ["core.autocrlf=true", "core.autocrlf=input", "core.eol=crlf"])
def test_a_clone_has_the_same_bytes(tmp_path: Path, setting: str) -> None:
    project = copy_project(tmp_path / "project")
    with_both = project / "tests" / "ends of lines"
    with_both.write_bytes(b"one\r\ntwo\n")
    tool("git", "-c", setting, "init", "-q", project)
    tool("git", "-c", setting, "-C", project, "add", "-f", ".")
    tool("git", *AUTHOR, "-C", project, "commit", "-q", "-m", "all")
    tool("git", "-c", setting, "clone", "-q", project, tmp_path / "clone")
    assert contents(tmp_path / "clone") == contents(project)
