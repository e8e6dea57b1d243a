"""A root that is looked at without unpacking it: a directory and its tarball show the same."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from plan.errors import BuildError
from rootfs.archives.root import Root

ELF = b"\x7fELF" + bytes(200)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "root"
    (tree / "usr" / "bin").mkdir(parents=True)
    (tree / "usr" / "lib" / "llvm-19" / "bin").mkdir(parents=True)
    (tree / "usr" / "lib" / "llvm-9" / "bin").mkdir(parents=True)
    (tree / "bin").symlink_to("usr/bin")
    (tree / "usr" / "bin" / "busybox").write_bytes(ELF)
    (tree / "usr" / "bin" / "sh").symlink_to("/bin/busybox")
    os.link(tree / "usr" / "bin" / "busybox", tree / "usr" / "bin" / "ash")
    (tree / "usr" / "bin" / "loop").symlink_to("loop")
    (tree / "usr" / "bin" / "out").symlink_to("../../../../../etc/passwd")
    (tree / "usr" / "lib" / "llvm-19" / "bin" / "clang").write_bytes(b"#!")
    (tree / "etc").mkdir()
    (tree / "etc" / "passwd").write_text("of the root")
    return tree


@pytest.mark.parametrize("pack", ["", "-c", "-cz", "-cJ"])
def test_a_directory_and_its_tarball_show_the_same(tree: Path, tmp_path: Path, pack: str) -> None:
    path = tree
    if pack:
        path = tmp_path / "root.tar"
        subprocess.run(["tar", "-C", tree, pack, "-f", path, "."], check=True)
    root = Root(path)
    assert root.find("bin/sh") == "usr/bin/busybox"
    assert root.head("/bin/sh") == ELF[:64] and len(root.head("bin/ash")) == 64
    assert root.find("bin/loop") is None and root.find("bin/none") is None
    assert root.find("bin/out") == "etc/passwd" and root.head("bin/out") == b"of the root"
    assert root.find("usr/bin/../lib/./llvm-9") == "usr/lib/llvm-9"
    assert [*root.matches("usr/lib/llvm*/bin")] == ["usr/lib/llvm-19/bin", "usr/lib/llvm-9/bin"]
    assert [*root.matches("bin/[as]*h")] == ["bin/ash", "bin/sh"]
    assert [*root.matches("usr/lib/llvm*/bin/clang")] == ["usr/lib/llvm-19/bin/clang"]
    assert root.head("usr") == b"" and [*root.matches("etc/passwd/*")] == []


def test_a_tarball_need_not_hold_its_directories(tree: Path, tmp_path: Path) -> None:
    path = tmp_path / "root.tar"
    files = ["usr/bin/busybox", "usr/bin/sh", "bin"]
    subprocess.run(["tar", "-C", tree, "-cf", path, *files], check=True)
    root = Root(path)
    assert root.find("bin/sh") == "usr/bin/busybox" and [*root.matches("us?/bin")] == ["usr/bin"]


@pytest.mark.fault("seed=PATH: no tarball, or one that is cut off", "one error that says so")
@pytest.mark.parametrize("content", [b"<html>not here</html>" * 99, b"", b"\x1f\x8b broken"])
def test_what_is_no_tarball(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "page.tar.gz"
    path.write_bytes(content)
    with pytest.raises(BuildError, match="no tarball that can be read") as caught:
        Root(path)
    assert caught.value.where == str(path)


@pytest.mark.fault("seed=PATH names a file that cannot be read", "one error with the reason")
def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="cannot be read: No such file"):
        Root(tmp_path / "none.tar")
