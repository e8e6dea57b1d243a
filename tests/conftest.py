"""For all tests: slow tests run only on request, the longest tests run first, and none leaves
anything in /tmp.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import scratch
from tests.ports import Port

LONG = {"slow": "BQ2_TEST_SLOW", "full": "BQ2_TEST_FULL"}
_directory = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """Give the run its directory; the processes of pytest-xdist inherit it."""
    # A shell lets what it starts in the background ignore Ctrl-C, and so would what tests start.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if "PYTEST_XDIST_WORKER" not in os.environ:
        config.stash[_directory] = scratch.begin()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the directory of the run."""
    if directory := config.stash.get(_directory, None):
        scratch.end(directory)


@pytest.fixture(scope="session", autouse=True)
def _removable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let pytest remove its directories: overlayfs leaves some that nobody may enter."""
    yield
    scratch.open_all(tmp_path_factory.getbasetemp())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked `slow` or `full`, unless its variable is set."""
    # Where tests run side by side, nothing waits for the longest file at the end.
    items.sort(key=lambda item: item.get_closest_marker("end_to_end") is None)
    for name, variable in LONG.items():
        if variable in os.environ:
            continue
        for item in items:
            if item.get_closest_marker(name):
                item.add_marker(pytest.mark.skip(reason=f"{name}: {variable}=1"))


@pytest.fixture(scope="session")
def real_image() -> Path:
    """An image of this project, which the end-to-end test built."""
    path = os.environ.get("BQ2_TEST_IMAGE")
    if not path:
        pytest.skip("BQ2_TEST_IMAGE names no image")
    return Path(path)


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port of the loopback address that is free, and is given to nobody else."""
    with Port() as number:
        yield number
