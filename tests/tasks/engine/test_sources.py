"""tasks/engine/sources.py: the files that a run fetches, and the cache that gets them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from cache.uses import recent
from plan.errors import BuildError
from plan.model import Source
from tasks.engine.project import Project
from tasks.engine.sources import (
    all_sources,
    fetch_now,
    fetched_file,
    have,
    say_what_is_used,
    seed_files,
    wanted_sources,
    write_fetched,
)
from tests.cache.loopback import DATA, Site
from tests.tasks.toy import COMPILER, Checkout, snapshot

SHA256 = hashlib.sha256(DATA).hexdigest()
SOURCE = Source(SHA256, len(DATA), "a.tar", ())


def project_with(toy: Checkout, place: str = "", **given: str) -> Project:
    """A project whose package `left` has SOURCE, found at `place`."""
    places = f"'{place}'" if place else ""
    row = f"[{{sha256: {SHA256}, size: {len(DATA)}, file: a.tar, urls: [{places}]}}]"
    toy.recipe("left", "cat LICENSE > $share/left", "bottom", sources=row)
    return toy.project(progress="quiet", **given)


def test_all_that_is_needed_is_of_the_steps_and_of_the_seed(toy: Checkout) -> None:
    found = all_sources(project_with(toy))
    assert [(source.sha256, source.file) for source in found] == [(SHA256, "a.tar")]
    toy.alpine("1" * 64, 7, "https://example.org/seed.tar")
    toy.variables["BQ2_SEED"] = "alpine"
    found = all_sources(toy.project())
    assert [source.sha256 for source in found] == [SHA256, "1" * 64]


@pytest.mark.parametrize("task", ["sysroot", "oci", "image"])
def test_what_the_product_holds_is_fetched_first(toy: Checkout, task: str) -> None:
    """Also if no step is built: a dead server must not show after hours."""
    project = project_with(toy)
    project.wanted, project.expected = frozenset({task}), frozenset()
    # The image of this set is one kernel, without sources.
    assert [each.file for each in wanted_sources(project)] == ["a.tar"] * (task != "image")


def test_the_authored_files_of_a_seed(toy: Checkout) -> None:
    assert seed_files(toy.project()) == []  # a path of the user's
    toy.alpine("1" * 64, 7, "https://example.org/seed.tar")
    project = toy.project(seed="alpine")
    assert seed_files(project) == ["plan/seeds/alpine.yaml"]


def test_it_is_fetched_into_the_cache_of_the_project(
    toy: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BQ2_CACHE", str(tmp_path / "nobody's"))
    site = Site()
    try:
        project = project_with(toy, site.url("good"))
        sources = all_sources(project)
        assert not have(project, sources)
        project.workdir.mkdir()
        project.events.begin(command=["test"])
        fetch_now(project, sources)
        assert have(project, sources)
        assert project.fetched(sources[0]).read_bytes() == DATA
        assert (toy.cache / "sources" / SHA256).read_bytes() == DATA
        assert '"fetched"' in project.events.path.read_text()
    finally:
        site.close()
    assert not (tmp_path / "nobody's").exists()


@pytest.mark.parametrize("damaged", [False, True])
def test_offline_it_is_called_by_name_what_lacks(toy: Checkout, damaged: bool) -> None:
    project = project_with(toy, offline="1")
    if damaged:
        kept = toy.cache / "sources" / SHA256
        kept.parent.mkdir(parents=True)
        kept.write_bytes(DATA[::-1])
    with pytest.raises(BuildError) as caught:
        fetch_now(project, all_sources(project), verify=True)
    assert "offline" in str(caught.value) and "a.tar" in str(caught.value)
    assert str(toy.cache) in str(caught.value)


def test_to_ask_whether_it_is_there_reads_and_writes_nothing(toy: Checkout) -> None:
    project = project_with(toy)
    before = snapshot(toy.root.parent)
    assert not have(project, [SOURCE]) and have(project, [])
    assert snapshot(toy.root.parent) == before
    kept = toy.cache / "sources" / SHA256
    kept.parent.mkdir(parents=True)
    kept.write_bytes(DATA)
    assert have(project, [SOURCE]) and not have(project, [replace(SOURCE, size=1)])


def test_what_was_fetched_is_written_down(toy: Checkout) -> None:
    project = project_with(toy)
    write_fetched(project, "left", [SOURCE])
    file = toy.root / fetched_file(project, "left")
    assert file == toy.root / "work" / "fetched" / "left.txt"
    assert file.read_text() == f"{SHA256}  a.tar\n"


def test_what_a_run_uses_is_said_in_its_cache(
    toy: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BQ2_CACHE", str(tmp_path / "nobody's"))
    project = project_with(toy)
    say_what_is_used(project)
    use, _ = recent(10, toy.cache)
    assert use.sources == {SHA256} and use.seeds == {project.seed.identity}
    assert not (tmp_path / "nobody's").exists()


def test_a_seed_that_cannot_be_had_is_for_its_own_task_to_tell(toy: Checkout) -> None:
    seeds = toy.root / "plan" / "seeds"
    authored = ["archive: {suite: trixie, component: main}", "wanted: {}", COMPILER]
    authored += ["architectures: {x86_64: {archive: amd64}}", ""]
    (seeds / "debian.yaml").write_text("\n".join(authored))
    project = toy.project(seed="debian")
    with pytest.raises(BuildError, match="not pinned"):
        all_sources(project)
    say_what_is_used(project)
    assert not toy.cache.exists()
