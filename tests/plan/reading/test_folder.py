"""plan/reading/folder.py: which files of a folder are a source; equal files are one source."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from plan.errors import BuildError
from plan.reading import folder
from plan.reading.folder import folder_source, listed, packed, would_hold

fault = pytest.mark.fault


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A Crystal project with a vendored library, which git is told to ignore, and a made file."""
    made = tmp_path / "hello"
    for name, text in {
        "shard.yml": "name: hello\n",
        "src/hello.cr": "puts 1\n",
        "lib/other/src/other.cr": "",
        "bin/hello": "made",
        ".gitignore": "/lib/\n/bin/\n",
    }.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(text)
    (made / "bin" / "hello").chmod(0o755)
    return made


def git(directory: Path, *words: str) -> None:
    who = ("-c", "user.name=n", "-c", "user.email=e")
    subprocess.run(["git", *who, *words], cwd=directory, check=True, capture_output=True)


def sha256(directory: Path) -> str:
    return folder_source(directory, "hello", "here").sha256


def test_git_says_what_belongs_to_it(project: Path) -> None:
    assert "bin/hello" in listed(project)
    git(project, "init")
    git(project, "add", "shard.yml")
    own = [".gitignore", "lib/other/src/other.cr", "shard.yml", "src/hello.cr"]
    assert listed(project) == own, "also what was not added yet"
    (project / "src" / "hello.cr").unlink()
    git(project, "add", ".")
    (project / "shard.yml").unlink()
    assert listed(project) == [".gitignore"], (
        "a removed file, and lib/ of a project in Crystal only"
    )


def test_a_folder_that_git_knows_nothing_of_is_taken_whole(project: Path) -> None:
    git(project.parent, "init")
    (project.parent / ".gitignore").write_text("hello\n")
    assert "bin/hello" in listed(project) and would_hold(project, Path("bin/other"))


def test_a_submodule_is_a_part_of_it(project: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.cr").write_text("")
    for directory in (other, project):
        git(directory, "init")
        git(directory, "add", ".")
        git(directory, "commit", "-m", "first")
    git(project, "-c", "protocol.file.allow=always", "submodule", "add", os.fspath(other), "sub")
    assert "sub/a.cr" in listed(project) and "sub/.git" not in listed(project)


def test_the_same_files_elsewhere_are_the_same_source(project: Path, tmp_path: Path) -> None:
    before = folder_source(project, "hello", "here")
    assert before.urls == ("folder:hello",) and before.size == len(packed(project))
    shutil.copytree(project, tmp_path / "there")
    (tmp_path / "there" / "src").touch()
    (tmp_path / "there" / "src" / "hello.cr").chmod(0o600)
    assert folder_source(tmp_path / "there", "hello", "here") == before
    (project / "src" / "hello.cr").chmod(0o755)
    runs = sha256(project)
    assert runs != before.sha256
    (project / "src" / "hello.cr").write_text("puts 2\n")
    assert sha256(project) != runs


def test_the_tar_is_one_that_others_read(project: Path) -> None:
    long = "d" * 150 + "/" + "é" * 60
    (project / long).parent.mkdir()
    (project / long).write_text("x" * 600)
    (project / "link").symlink_to("shard.yml")
    with tarfile.open(fileobj=io.BytesIO(packed(project))) as tar:
        found = {member.name: member for member in tar}
        assert found[f"source/{long}"].size == 600
        content = tar.extractfile(found["source/link"])
        assert content and content.read() == b"name: hello\n", "a link is the file it leads to"
    assert [*found] == sorted(found, key=os.fsencode)


def big(project: Path) -> None:
    (project / "big").write_bytes(b"0" * 2000)


def outside(project: Path) -> None:
    (project / "lib" / "path").symlink_to("../../elsewhere")


def fifo(project: Path) -> None:
    os.mkfifo(project / "pipe")


def broken(project: Path) -> None:
    (project / "link").symlink_to("nothing")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        pytest.param(
            outside,
            "leads out of the folder",
            marks=fault("a link out of a folder that is a source", "refused: copy it"),
        ),
        pytest.param(
            fifo,
            "only regular files",
            marks=fault("a FIFO in a folder that is a source", "refused, with its path"),
        ),
        pytest.param(
            broken,
            "this link leads nowhere",
            marks=fault("a link to nothing, or a loop of links, in a folder", "refused, its path"),
        ),
        (lambda top: (top / "loop").symlink_to("loop"), "this link leads nowhere"),
        pytest.param(
            big,
            "too much for a source",
            marks=fault("a folder of more than 256 MiB as a source", "refused"),
        ),
        pytest.param(
            shutil.rmtree,
            "there is no folder",
            marks=fault("a folder that is a source is not there", "the recipe's line"),
        ),
    ],
)
def test_what_a_source_cannot_be(
    project: Path, spoil: object, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "LARGEST", 1000)
    packed(project)
    assert callable(spoil)
    spoil(project)
    with pytest.raises(BuildError, match=message) as caught:
        folder_source(project, "hello", "recipe:7")
    assert os.fspath(project) in str(caught.value)


@fault("an app's file is open in Emacs, which has a link to nothing beside it", "it is not read")
def test_a_lock_of_an_editor(project: Path) -> None:
    before = listed(project)
    (project / "src" / ".#hello.cr").symlink_to("me@here.1:2")
    assert listed(project) == before


def test_git_says_what_would_belong_to_it(project: Path) -> None:
    assert would_hold(project, Path("work/plan.json"))
    git(project, "init")
    assert would_hold(project, Path("work/plan.json"))
    (project / ".gitignore").write_text("work/\n/lib/\n")
    assert not would_hold(project, Path("work/plan.json"))
    assert would_hold(project, Path("lib/x")), "all of lib/ is a part of it"


@fault("a folder of a git repository is a source, and git is not installed", "says to install git")
@fault("a huge file in a folder that is a source: a disk image", "refused before it is read")
def test_what_is_too_large_is_not_read(project: Path) -> None:
    with (project / "disk.raw").open("wb") as file:
        file.truncate(1 << 42)
    with pytest.raises(BuildError, match="more than 256 MiB"):
        packed(project)


def test_without_git(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(project, "init")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BuildError, match="git is not installed"):
        listed(project)


@fault(
    "a folder that is a source has a repository that names a program to start",
    "the program is not started",
)
def test_nothing_of_the_repository_is_run(project: Path) -> None:
    git(project, "init")
    git(project, "config", "core.fsmonitor", "touch ran; false")
    listed(project)
    assert not (project / "ran").exists()
