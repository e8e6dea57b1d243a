"""cache/garbage.py: the items found, which are used, and their sizes."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from cache.garbage import YOUNG, disk_size, look
from cache.uses import Use

A, B, C = "a" * 64, "b" * 64, "c" * 64
LATER = YOUNG + 60


def cache(root: Path) -> Path:
    """Everything that a cache may hold, and what others put into it."""
    for name in (A, B):
        for path in (f"artifacts/{name}.tar", f"steps/{name}.json", f"sources/{name}"):
            _file(root / path)
        _file(root / "sources" / "partial" / name)
        _file(root / "sources" / "partial" / f"{name}.git" / "HEAD")
        _file(root / "sources" / "partial" / f"{name}.pip" / "x.whl")
        _file(root / "trees" / name / "usr" / "file")
        _file(root / "trees" / f"seed-{name}" / "bin" / "sh")
    foreign = ("kvm.json", "artifacts/x.tar", f"artifacts/{A}", "trees/mine/file", f"steps/{A[1:]}")
    for path in (*foreign, "sources/partial/x.pip/y", "sources/README", f"trees/.9.{A}/x"):
        _file(root / path)
    return root


def _file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * 5000)


def unused(root: Path, use: Use, later: int = LATER) -> list[str]:
    items = look(root, use, now=time.time() + later)
    return sorted(str(item.path.relative_to(root)) for item in items if not item.used)


def test_what_nobody_uses_is_found_and_nothing_foreign(tmp_path: Path) -> None:
    root = cache(tmp_path)
    use = Use({A: A}, {A}, {A})
    assert unused(root, use) == [
        *(f"artifacts/{B}.tar", f"sources/{B}", f"sources/partial/{B}"),
        *(f"sources/partial/{B}.git", f"sources/partial/{B}.pip", f"steps/{B}.json"),
        *(f"trees/{B}", f"trees/seed-{B}"),
    ]


def test_an_artifact_is_used_under_whatever_step_id(tmp_path: Path) -> None:
    left = unused(cache(tmp_path), Use({C: A, B: A}, set(), set()))
    assert f"artifacts/{A}.tar" not in left and f"trees/{A}" not in left
    assert f"steps/{A}.json" in left and f"steps/{B}.json" not in left


def test_what_is_young_counts_as_used(tmp_path: Path) -> None:
    root = cache(tmp_path)
    assert unused(root, Use(), YOUNG - 60) == []
    # By its content's time too: whatever is copied with its times has a young inode.
    os.utime(root / "artifacts" / f"{A}.tar", (0, 0))
    assert unused(root, Use(), YOUNG - 60) == []


def test_the_tree_of_a_young_artifact_is_used(tmp_path: Path) -> None:
    root = cache(tmp_path)
    os.utime(root / "artifacts" / f"{A}.tar", (time.time() + LATER - 60,) * 2)
    left = unused(root, Use())
    assert f"trees/{A}" not in left and f"trees/{B}" in left


def test_records_go_before_what_they_name(tmp_path: Path) -> None:
    kinds = [item.kind for item in look(cache(tmp_path), Use())]
    assert list(dict.fromkeys(kinds)) == [
        *("steps", "trees", "artifacts", "seeds", "sources", "downloads")
    ]


def test_an_empty_cache_holds_nothing(tmp_path: Path) -> None:
    assert look(tmp_path / "nowhere", Use()) == []


def test_hard_links_count_once_and_links_are_not_followed(tmp_path: Path) -> None:
    directory = tmp_path / "directory"
    _file(directory / "one")
    before = disk_size(directory)
    assert before >= 5000
    os.link(directory / "one", directory / "two")
    (directory / "link").symlink_to("/usr")
    assert before <= disk_size(directory) <= before + 8192


@pytest.mark.fault("a download ends while doit gc looks at it", "it is passed over")
def test_what_vanishes_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = cache(tmp_path) / "sources" / "partial" / A

    def size(path: Path) -> int:
        if path == gone:
            gone.unlink()
        return disk_size(path)

    monkeypatch.setattr("cache.garbage.disk_size", size)
    assert gone not in [item.path for item in look(tmp_path, Use())]
