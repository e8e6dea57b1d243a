"""plan/outputs.py: the path of an output file, and the files that it must not replace."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from plan.outputs import replacing, target


def test_what_is_written_replaces_a_file_or_nothing(tmp_path: Path) -> None:
    assert target(tmp_path / "new" / "file") == tmp_path / "new" / "file"
    (tmp_path / "file").touch()
    assert target(tmp_path / "file") == tmp_path / "file"


def test_a_link_is_followed_to_what_may_be_written(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there/file")
    (tmp_path / "second").symlink_to("link")
    assert target(tmp_path / "second") == tmp_path / "there" / "file"
    (tmp_path / "there" / "file").touch()
    assert target(tmp_path / "second") == tmp_path / "there" / "file"


def directory(path: Path) -> None:
    path.mkdir()


def fifo(path: Path) -> None:
    os.mkfifo(path)


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.fspath(path))


def device(path: Path) -> None:
    path.symlink_to("/dev/null")


def circle(path: Path) -> None:
    path.symlink_to(path.name)


def nowhere(path: Path) -> None:
    path.symlink_to("gone/file")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (directory, "it is a directory: name a file in it"),
        (fifo, "it is a FIFO: name a file, then send it there"),
        (a_socket, "it is a socket: name a file"),
        (device, "it is a character device: name a file, then copy it there"),
        (circle, "Too many levels of symbolic links"),
        (nowhere, "gone/file, whose directory does not exist"),
    ],
)
def test_what_is_no_file_is_refused(tmp_path: Path, make: object, said: str) -> None:
    assert callable(make)
    for name in ("it", "link"):
        make(tmp_path / "it") if name == "it" else (tmp_path / name).symlink_to("it")
        with pytest.raises(OSError) as caught:
            target(tmp_path / name)
        assert said in str(caught.value.strerror)


def test_replacing_is_all_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "directory" / "file"
    with replacing(path) as file:
        file.write(b"one")
        assert not path.exists()
    assert path.read_bytes() == b"one"
    with pytest.raises(KeyboardInterrupt), replacing(path) as file:
        file.write(b"half of tw")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"one"
    with replacing(path) as file:
        file.write(b"two")
        file.seek(0)
        assert file.read() == b"two"
        assert path.read_bytes() == b"one"
    assert [each.name for each in path.parent.iterdir()] == ["file"]
    assert path.read_bytes() == b"two"
