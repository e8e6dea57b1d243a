"""plan/outputs.py: the path of an output file, and the files that it must not replace."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from plan.outputs import replacing, require_room, target


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


@pytest.mark.fault("the disk is full while a file is written", "the error names the file")
def test_an_error_without_a_name_gets_that_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(OSError) as caught, replacing(tmp_path / "file"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert caught.value.filename == str(tmp_path / "file") and not [*tmp_path.iterdir()]


def test_no_error_names_the_temporary_file(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 250)  # only the temporary name is too long
    with pytest.raises(OSError) as caught, replacing(path):
        pass
    assert caught.value.errno == errno.ENAMETOOLONG and caught.value.filename == str(path)


@pytest.mark.fault(
    "output= in a file system that takes no file, as /proc", "refused before anything is built"
)
@pytest.mark.parametrize("path", ["/proc/x", "/proc/x/y", "/sys/x"])
def test_where_no_file_can_be_made(path: str) -> None:
    with pytest.raises(OSError, match="name another place"):
        require_room(Path(path))


def test_where_a_file_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in ("file", "new", "there/is/none"):
        require_room(tmp_path / path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


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
