"""cache/paths.py: the path of the cache, and how its directories are made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cache import paths
from plan.errors import BuildError


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"BQ2_CACHE": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/a"),
        ({"BQ2_CACHE": "", "XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/b/bootstrap-qcow2"),
        ({"XDG_CACHE_HOME": "b", "HOME": "/c"}, "/c/.cache/bootstrap-qcow2"),
        ({"XDG_CACHE_HOME": "", "HOME": "/c"}, "/c/.cache/bootstrap-qcow2"),
    ],
)
def test_the_first_setting_that_counts_is_taken(environ: dict[str, str], expected: str) -> None:
    assert paths.root(environ) == Path(expected)


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}, {"BQ2_CACHE": "here", "HOME": "/c"}])
def test_without_an_absolute_path_there_is_an_error(environ: dict[str, str]) -> None:
    with pytest.raises(BuildError) as caught:
        paths.root(environ)
    assert caught.value.hint


def test_directories_are_made_for_their_owner_only(cache_root: Path) -> None:
    before = os.umask(0)
    try:
        made = paths.directory("sources/partial")
    finally:
        os.umask(before)
    assert made == cache_root / "sources/partial"
    for path in (cache_root, made.parent, made):
        assert path.stat().st_mode & 0o777 == 0o700


def test_nothing_is_made_by_asking_for_the_root(cache_root: Path) -> None:
    assert paths.root() == cache_root
    assert not cache_root.exists()


def test_a_cache_that_cannot_be_made_is_named(cache_root: Path) -> None:
    cache_root.write_text("a file is in the way", encoding="utf-8")
    with pytest.raises(BuildError) as caught:
        paths.directory("sources")
    assert str(cache_root) in str(caught.value)
    assert "BQ2_CACHE" in str(caught.value)
