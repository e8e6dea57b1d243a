"""tasks/engine/removal.py: removing things from the cache while other runs use it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from cache.uses import saying
from tasks.engine.removal import drop, is_damaged


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def tree(cache: Path) -> Path:
    made = cache / "trees" / "one"
    made.mkdir(parents=True)
    return made


def test_what_is_damaged_goes_and_the_rest_stays(cache: Path, tree: Path) -> None:
    assert not drop(tree, lambda _: False, cache) and tree.exists()
    assert drop(tree, lambda _: True, cache) and not list(tree.parent.iterdir())
    assert not drop(tree, lambda _: True, cache)


@pytest.mark.fault("a tree is made anew while doit fsck reads the one of before", "it stays")
def test_what_is_mended_meanwhile_stays(cache: Path, tree: Path) -> None:
    answers = [True, False]
    assert not drop(tree, lambda _: answers.pop(0), cache)
    assert tree.exists() and answers == []


@pytest.mark.fault("a tree vanishes while doit fsck reads it", "it is passed over")
def test_what_vanishes_is_not_damaged(tree: Path) -> None:
    def vanishes(path: Path) -> bool:
        path.rmdir()
        return (path / "file").stat().st_size == 0

    assert not is_damaged(tree, vanishes)


@pytest.mark.fault(
    "doit fsck finds a tree damaged while a build takes it", "it waits for the build"
)
def test_nothing_goes_while_somebody_takes_it(cache: Path, tree: Path) -> None:
    seen = threading.Event()
    thread = threading.Thread(target=lambda: drop(tree, lambda _: not seen.set(), cache))
    with saying(cache):
        thread.start()
        assert seen.wait(60)
        thread.join(0.2)
        assert tree.exists() and thread.is_alive()
    thread.join(60)
    assert not tree.exists()
