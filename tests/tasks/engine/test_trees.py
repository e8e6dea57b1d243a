"""tasks/engine/trees.py: trees are unpacked once, and unpacked again if they were changed."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from plan.errors import BuildError
from plan.model import Source
from rootfs.archives.intact import untouched
from tasks.engine.project import Project
from tasks.engine.trees import (
    is_intact,
    keep_tree,
    listing_file,
    source_tree,
    tree_of,
    unpacked,
)
from tests.tasks.toy import Checkout


@pytest.fixture
def source(toy: Checkout, tmp_path: Path) -> Source:
    """A source in the cache: a tarball of two files."""
    (tmp_path / "thing-1").mkdir()
    for name in ("README", "main.c"):
        (tmp_path / "thing-1" / name).write_text(f"{name}\n")
    archive = tmp_path / "thing-1.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(tmp_path / "thing-1", "thing-1")
    content = archive.read_bytes()
    found = Source(hashlib.sha256(content).hexdigest(), len(content), "thing-1.tar.xz", ())
    path = toy.cache / "sources" / found.sha256
    path.parent.mkdir(parents=True)
    archive.rename(path)
    return found


def tree_of_left(project: Project) -> Path:
    return tree_of(project, project.plan.product["left"])


# --- artifacts ---------------------------------------------------------------------------------


@pytest.mark.namespace
def test_an_artifact_is_unpacked_when_it_is_needed(built: Checkout) -> None:
    shutil.rmtree(built.cache / "trees")
    tree = tree_of_left(built.project())
    assert tree == built.cache / "trees" / built.stamp("left")["artifact"]
    assert (tree / "usr/share/left").read_text() == "bottom\nleft\n"
    assert untouched(tree)
    assert [path.name for path in tree.parent.iterdir()] == [tree.name]


@pytest.mark.namespace
def test_all_threads_get_the_same_whole_tree(built: Checkout) -> None:
    shutil.rmtree(built.cache / "trees")
    projects = [built.project(), built.project()] * 4
    with ThreadPoolExecutor(8) as threads:
        trees = set(threads.map(tree_of_left, projects))
    assert len(trees) == 1 and untouched(trees.pop())


@pytest.mark.namespace
def test_a_changed_tree_is_unpacked_anew_by_the_next_run(built: Checkout) -> None:
    project = built.project()
    file = tree_of_left(project) / "usr/share/left"
    file.write_text("somebody's\n")
    # One look in a run: what happens while it runs is seen by the next one.
    assert tree_of_left(project) and file.read_text() == "somebody's\n"
    assert tree_of_left(built.project()) and file.read_text() == "bottom\nleft\n"


@pytest.mark.namespace
def test_other_times_alone_are_put_right(built: Checkout) -> None:
    file = built.tree("left", "usr/share/left")
    inode = file.stat().st_ino
    file.touch()
    tree = tree_of_left(built.project())
    assert untouched(tree) and file.stat().st_ino == inode


@pytest.mark.namespace
def test_a_damaged_artifact_is_removed_and_told_of(built: Checkout) -> None:
    shutil.rmtree(built.cache / "trees")
    artifact = built.artifact("left")
    artifact.chmod(0o644)
    content = artifact.read_bytes()
    artifact.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(BuildError, match="the artifact of left was damaged"):
        tree_of_left(built.project())
    assert not artifact.exists() and not (built.cache / "trees").exists()


# --- sources -----------------------------------------------------------------------------------


def test_a_source_is_unpacked_without_its_top_directory(toy: Checkout, source: Source) -> None:
    project = toy.project()
    assert not is_intact(project, source)
    tree = unpacked(project, source)
    assert tree == source_tree(project, source) and tree.name.startswith("thing-1-")
    assert sorted(path.name for path in tree.iterdir()) == ["README", "main.c"]
    assert is_intact(project, source) and listing_file(tree).exists()


def test_what_is_left_out_is_another_tree(toy: Checkout, source: Source) -> None:
    project = toy.project()
    less = replace(source, exclude=("README",))
    assert [path.name for path in unpacked(project, less).iterdir()] == ["main.c"]
    assert len(list(unpacked(project, source).iterdir())) == 2
    elsewhere = replace(source, urls=("https://example.org/thing-1.tar.xz",))
    assert source_tree(project, elsewhere) == source_tree(project, source)


@pytest.mark.parametrize("what", ["written", "added", "removed", "listing"])
def test_a_changed_source_is_unpacked_anew_by_the_next_run(
    toy: Checkout, source: Source, what: str
) -> None:
    project = toy.project()
    tree = unpacked(project, source)
    if what == "written":
        (tree / "README").write_text("other\n")
    elif what == "added":
        (tree / "new").touch()
    elif what == "removed":
        (tree / "README").unlink()
    else:
        listing_file(tree).unlink()
    assert not is_intact(project, source)
    assert unpacked(project, source) == tree and not is_intact(project, source)
    assert unpacked(toy.project(), source) == tree and is_intact(project, source)
    assert (tree / "README").read_text() == "README\n" and not (tree / "new").exists()


def test_a_source_that_is_no_archive_is_called_by_its_file(toy: Checkout) -> None:
    content = b"no archive at all"
    wrong = Source(hashlib.sha256(content).hexdigest(), len(content), "wrong-1.tar.gz", ())
    path = toy.cache / "sources" / wrong.sha256
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    project = toy.project()
    with pytest.raises(BuildError) as caught:
        unpacked(project, wrong)
    assert "wrong-1.tar.gz" in str(caught.value)
    assert list((toy.root / "work" / "sources").iterdir()) == []


def test_a_tree_that_is_there_already_is_kept(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    keep_tree(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old" / "old").exists() and not (tmp_path / "new").exists()
    (tmp_path / "new").mkdir()
    keep_tree(tmp_path / "new", tmp_path / "deep" / "tree")
    assert (tmp_path / "deep" / "tree").is_dir() and not (tmp_path / "new").exists()


@pytest.mark.fault(
    "the disk is full when an unpacked tree gets its name", "the run stops there, with the reason"
)
def test_a_tree_that_cannot_be_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(number: int) -> None:
        def rename(path: Path, target: Path) -> None:
            raise OSError(number, os.strerror(number), str(path), None, str(target))

        monkeypatch.setattr(Path, "rename", rename)
        (tmp_path / "new").mkdir()
        keep_tree(tmp_path / "new", tmp_path / "tree")

    with pytest.raises(OSError, match="No space left"):
        refused(errno.ENOSPC)
    assert not (tmp_path / "new").exists()
    refused(errno.EXDEV)
    assert not (tmp_path / "new").exists()
