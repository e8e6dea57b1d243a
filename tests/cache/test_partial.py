"""cache/partial.py: locked, hashed while it grows, kept only if complete."""

from __future__ import annotations

import fcntl
import os
import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cache.partial import Partial, locked
from plan.errors import BuildError
from tests.cache.loopback import DATA, HALF, source

SOURCE = source()


def never() -> None:
    raise AssertionError("the file should have been free")


@contextmanager
def opened(
    path: Path,
    *,
    count: Callable[[int], None] = lambda size: None,
    wait: Callable[[], None] = never,
) -> Iterator[Partial]:
    with locked(path, SOURCE.sha256, SOURCE.size, count=count, wait=wait) as partial:
        yield partial


@pytest.mark.fault(
    "a download was begun before, rightly or wrongly",
    "what is right goes on; what cannot be is thrown away",
)
@pytest.mark.parametrize(
    ("there", "length", "complete"),
    [
        (b"", 0, False),
        (DATA[:HALF], HALF, False),
        (b"wrong, but short", 16, False),
        (DATA, len(DATA), True),
        (DATA[:-1] + b"!", 0, False),
        (DATA + b"!", 0, False),
    ],
)
def test_what_is_there_is_taken_up(
    tmp_path: Path, there: bytes, length: int, complete: bool
) -> None:
    path = tmp_path / "x"
    path.write_bytes(there)
    counted: list[int] = []
    with opened(path, count=counted.append) as partial:
        assert (partial.length, partial.complete()) == (length, complete)
        assert sum(counted) == length
        if partial.length < SOURCE.size:
            partial.empty()
            partial.append(DATA[:10])
            partial.append(DATA[10:])
        assert partial.complete()
        assert sum(counted) == len(DATA)
        partial.keep(tmp_path / "kept")
    assert (tmp_path / "kept").read_bytes() == DATA
    assert (tmp_path / "kept").stat().st_mode & 0o777 == 0o444
    assert not path.exists()


def test_an_empty_one_is_removed_and_a_begun_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with opened(path):
        assert path.exists()
    assert not path.exists()
    with opened(path) as partial:
        partial.append(DATA[:HALF])
    assert path.read_bytes() == DATA[:HALF]


@pytest.mark.fault(
    "two runs fetch the same source",
    "one fetches it, the other waits",
)
def test_the_second_waits_and_then_starts_afresh_if_it_was_kept(tmp_path: Path) -> None:
    path = tmp_path / "x"
    waited, done = threading.Event(), threading.Event()
    lengths: list[int] = []

    def second() -> None:
        def wait() -> None:
            waited.set()
            done.wait(60)

        with opened(path, wait=wait) as partial:
            lengths.append(partial.length)

    with opened(path) as first:
        thread = threading.Thread(target=second)
        thread.start()
        assert waited.wait(60)
        first.append(DATA)
        first.keep(tmp_path / "kept")
    done.set()
    thread.join(60)
    assert lengths == [0]
    assert (tmp_path / "kept").read_bytes() == DATA


@pytest.mark.fault(
    "a run waits for a source at the moment at which another run keeps it",
    "it can open the file that it waits for: only the kept file is read-only",
)
def test_what_others_wait_for_is_never_read_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, modes = tmp_path / "x", os.fchmod
    opened_meanwhile: list[bool] = []

    def fchmod(file: int, mode: int) -> None:
        modes(file, mode)
        opened_meanwhile.append(path.exists())

    monkeypatch.setattr(os, "fchmod", fchmod)
    with opened(path) as partial:
        partial.append(DATA)
        partial.keep(tmp_path / "kept")
    assert opened_meanwhile == [False]


@pytest.mark.fault(
    "a source arrives while another run is about to fetch it",
    "it is left alone",
)
def test_a_file_kept_between_opening_and_locking_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x"
    path.write_bytes(DATA[:HALF])
    lock = fcntl.flock
    waits: list[None] = []

    def another_was_quicker(file: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        path.rename(tmp_path / "kept")
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", another_was_quicker)
    with opened(path, wait=lambda: waits.append(None)) as partial:
        assert partial.length == 0
        partial.append(b"something else")
    assert len(waits) == 1
    assert (tmp_path / "kept").read_bytes() == DATA[:HALF]


def test_giving_up_while_waiting(tmp_path: Path) -> None:
    class GiveUp(Exception):
        pass

    def wait() -> None:
        raise GiveUp

    with (
        opened(tmp_path / "x") as first,
        pytest.raises(GiveUp),
        opened(tmp_path / "x", wait=wait),
    ):
        raise AssertionError("two had the lock")
    assert first.length == 0


@pytest.mark.fault(
    "the directory of downloads is gone",
    "one error with its path",
)
def test_a_directory_that_is_gone_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="No such file") as caught, opened(tmp_path / "a/b"):
        raise AssertionError("opened nothing")
    assert str(tmp_path / "a/b") in str(caught.value)


@pytest.mark.fault(
    "the disk of a download is full",
    "one error with the remedy; what has come is kept",
)
def test_a_full_disk_is_an_error_with_a_remedy_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (HALF, limits[1]))
    try:
        with pytest.raises(BuildError, match="File too large") as caught, opened(path) as partial:
            partial.append(DATA)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "BQ2_CACHE" in str(caught.value)
    assert path.read_bytes() == DATA[:HALF]
