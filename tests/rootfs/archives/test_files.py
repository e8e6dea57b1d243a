"""rootfs.archives.files: removing, making and replacing any files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from rootfs.archives.files import fresh_directory, remove_tree
from rootfs.archives.intact import sha256_of_tree
from rootfs.archives.pack import tidy
from tests.nobody import NOBODY, open_directory
from tests.rootfs.tools import make_tree


@pytest.fixture
def open_place() -> Iterator[Path]:
    with open_directory() as directory:
        yield directory


def as_other_user(action: object) -> int:
    """The exit status of `action` in a child that is not root, so that modes count."""
    assert callable(action)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setresgid(NOBODY, NOBODY, NOBODY)
                os.setresuid(NOBODY, NOBODY, NOBODY)
            action()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_remove_tree_also_enters_what_nobody_may_enter(open_place: Path) -> None:
    directory = open_place / "files"

    def make_and_remove() -> None:
        tree = make_tree(directory, {"a/b/c/file": b"", "a/plain": b"", "read-only/file": b""})
        (tree / "a/b/c").chmod(0o000)
        (tree / "a/b").chmod(0o444)
        (tree / "read-only").chmod(0o555)
        (tree / "a/link").symlink_to("/etc")
        tree.chmod(0o000)
        remove_tree(tree)

    assert as_other_user(make_and_remove) == 0
    assert not directory.exists()


@pytest.mark.fault(
    "an ordinary user builds a package with directories that nobody may enter",
    "its artifact is the one that root would get",
)
def test_tidy_also_enters_what_nobody_may_enter(open_place: Path) -> None:
    directory, digests = open_place / "tidy", open_place / "digests"
    digests.mkdir()
    digests.chmod(0o777)

    def make_and_pack() -> None:
        tree = make_tree(directory, {"a/b/file": b"x", "read-only/file": b"y"})
        (tree / "a/b/file").chmod(0o000)
        (tree / "a/b").chmod(0o000)
        (tree / "a").chmod(0o111)
        (tree / "read-only").chmod(0o555)
        tidy(tree, remove=())
        (digests / str(os.getuid())).write_text(sha256_of_tree(tree))
        remove_tree(tree)

    assert as_other_user(make_and_pack) == 0
    make_and_pack()
    assert len({path.read_text() for path in digests.iterdir()}) == 1


def test_remove_tree_follows_no_link(tmp_path: Path) -> None:
    outside = make_tree(tmp_path / "outside", {"file": b""})
    tree = make_tree(tmp_path / "tree", {"x": b""})
    (tree / "link").symlink_to(outside)
    remove_tree(tree)
    assert not tree.exists() and (outside / "file").exists()
    link = tmp_path / "link"
    link.symlink_to(outside)
    remove_tree(link)
    assert not link.is_symlink() and (outside / "file").exists()
    remove_tree(outside / "file")
    remove_tree(outside / "file")
    assert not (outside / "file").exists()


@pytest.mark.parametrize("before", ["nothing", "directory", "file", "link"])
def test_a_fresh_directory_is_empty_and_has_a_fixed_mode(tmp_path: Path, before: str) -> None:
    path = tmp_path / "above" / "directory"
    outside = make_tree(tmp_path / "outside", {"kept": b""})
    if before != "nothing":
        path.parent.mkdir()
    if before == "directory":
        make_tree(path, {"x/y": b""})
    elif before == "file":
        path.touch()
    elif before == "link":
        path.symlink_to(outside)
    old = os.umask(0o077)
    try:
        assert fresh_directory(path) == path
    finally:
        os.umask(old)
    assert not path.is_symlink() and list(path.iterdir()) == []
    assert stat.S_IMODE(path.stat().st_mode) == 0o755
    assert (outside / "kept").exists()
