"""tasks/removal.py: what is removed from the cache while others use it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from cache.uses import saying
from tasks.removal import drop, is_damaged


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BQ2_CACHE", str(tmp_path))
    made = tmp_path / "trees" / "one"
    made.mkdir(parents=True)
    return made


def test_what_is_damaged_goes_and_the_rest_stays(tree: Path) -> None:
    assert not drop(tree, lambda _: False) and tree.exists()
    assert drop(tree, lambda _: True) and not list(tree.parent.iterdir())
    assert not drop(tree, lambda _: True)


@pytest.mark.fault("a tree is made anew while doit fsck reads the one of before", "it stays")
def test_what_is_mended_meanwhile_stays(tree: Path) -> None:
    answers = [True, False]
    assert not drop(tree, lambda _: answers.pop(0))
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
def test_nothing_goes_while_somebody_takes_it(tree: Path) -> None:
    seen = threading.Event()
    thread = threading.Thread(target=lambda: drop(tree, lambda _: not seen.set()))
    with saying():
        thread.start()
        assert seen.wait(10)
        thread.join(0.2)
        assert tree.exists() and thread.is_alive()
    thread.join(10)
    assert not tree.exists()
