"""rootfs.sandbox.jobserver: the tokens. The end-to-end test checks that make uses them."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from rootfs.sandbox.jobserver import PLACE, JobServer


def free(server: JobServer) -> int:
    """How many tokens can be had; they are put back."""
    pipe = os.open(server.path, os.O_RDWR | os.O_NONBLOCK)
    try:
        tokens = os.read(pipe, 100)
    except BlockingIOError:
        return 0
    finally:
        os.close(pipe)
    pipe = os.open(server.path, os.O_RDWR)
    os.write(pipe, tokens)
    os.close(pipe)
    return len(tokens)


def test_a_step_takes_one_token_and_leaves_the_others(tmp_path: Path) -> None:
    server = JobServer(tmp_path / "new" / "jobs", 4)
    assert free(server) == 4
    with server.slot():
        assert free(server) == 3
        with server.slot():
            assert free(server) == 2
        assert free(server) == 3
    assert free(server) == 4


def test_a_step_waits_for_its_token(tmp_path: Path) -> None:
    server, order = JobServer(tmp_path / "jobs", 1), []

    def second() -> None:
        with server.slot():
            order.append("second")

    with server.slot():
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.05)
        order.append("first")
    thread.join(60)
    assert order == ["first", "second"]


@pytest.mark.parametrize("found", [b"", b"+++++++"])
def test_what_a_killed_step_took_along_is_put_right(tmp_path: Path, found: bytes) -> None:
    """Tokens that are lost, and tokens that are too many."""
    server = JobServer(tmp_path / "jobs", 3)
    with pytest.raises(RuntimeError), server.slot():
        pipe = os.open(server.path, os.O_RDWR)
        os.read(pipe, 100)
        os.write(pipe, found)
        os.close(pipe)
        raise RuntimeError
    assert free(server) == 3


def test_what_is_left_of_another_run_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "jobs").write_text("no pipe")
    assert free(JobServer(tmp_path / "jobs", 2)) == 2
    assert free(JobServer(tmp_path / "jobs", 5)) == 5


def test_the_environment_names_the_number_and_the_place(tmp_path: Path) -> None:
    assert JobServer(tmp_path / "jobs", 7).environment() == {
        "JOBS": "7",
        "MAKEFLAGS": f"-j7 --jobserver-auth=fifo:{PLACE}",
        "CMAKE_BUILD_PARALLEL_LEVEL": "7",
    }
