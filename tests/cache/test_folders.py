"""cache/folders.py: a folder gets into the cache as the plan knows it, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from cache import paths
from cache.folders import keep
from cache.sources import present
from plan.errors import BuildError
from plan.reading.folder import folder_source


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a").write_text("a")
    return tmp_path / "mine"


def test_it_is_kept_like_a_file_that_was_fetched(folder: Path, tmp_path: Path) -> None:
    source = folder_source(folder, "mine", "here")
    keep(source, folder, tmp_path / "cache")
    assert present(source, tmp_path / "cache", verify=True)
    file = paths.source(source.sha256, tmp_path / "cache")
    assert file.stat().st_mode & 0o777 == 0o444
    (folder / "a").write_text("changed")
    keep(source, folder, tmp_path / "cache")
    assert present(source, tmp_path / "cache", verify=True), "what is there needs no folder"


@pytest.mark.fault(
    "a file of a folder that is a source changes between the plan and the build",
    "the run ends: run it again",
)
def test_what_changed_meanwhile_is_not_kept(folder: Path, tmp_path: Path) -> None:
    source = folder_source(folder, "mine", "here")
    (folder / "a").write_text("changed")
    with pytest.raises(BuildError, match="changed since this run began"):
        keep(source, folder, tmp_path / "cache")
    assert not paths.source(source.sha256, tmp_path / "cache").exists()
