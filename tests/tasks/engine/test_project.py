"""tasks/engine/project.py: one checkout with the parameters of one run; several in one process."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from plan.errors import BuildError
from plan.model import Source
from tasks.engine.project import SetupFailed
from tasks.engine.stamps import Stamp
from tests.tasks.toy import SCRIPTS, Checkout, bring_about, make_checkout, snapshot

CONTENT = b"what somebody else wrote\n"
SOURCE = Source(hashlib.sha256(CONTENT).hexdigest(), len(CONTENT), "thing.txt", ())


def test_to_open_it_writes_nothing(toy: Checkout) -> None:
    before = snapshot(toy.root.parent)
    project = toy.project()
    assert snapshot(toy.root.parent) == before
    assert project.root == toy.root and project.data.own == toy.root / "plan"
    assert project.workdir == toy.root / "work" and project.store.root == toy.cache
    assert [step.name for step in project.plan.steps] == [*SCRIPTS]


def test_a_mistake_in_a_recipe_shows_when_it_is_opened(toy: Checkout) -> None:
    toy.edit("plan/recipes/left.yaml", "depends: [bottom]", "depends: [botom]")
    with pytest.raises(BuildError, match="botom"):
        toy.project()


@pytest.mark.fault(
    "a file of the project, of a layer or of an app may not be read, or is a directory",
    "one error with its path and the reason, before anything is built",
)
def test_what_cannot_be_read_is_named(toy: Checkout, tmp_path: Path) -> None:
    (tmp_path / "mine" / "sets.yaml").mkdir(parents=True)
    with pytest.raises(BuildError, match="cannot be read: Is a directory") as caught:
        toy.project(layer=os.fspath(tmp_path / "mine"))
    assert caught.value.where == os.fspath(tmp_path / "mine" / "sets.yaml")


def test_parameters_reach_the_settings_and_mistakes_are_refused(toy: Checkout) -> None:
    project = toy.project(workdir="elsewhere", jobs="3")
    assert project.workdir == toy.root / "elsewhere" and project.settings.jobs == 3
    with pytest.raises(BuildError, match="unknown parameter 'wrkdir'"):
        toy.project(wrkdir="x")


@pytest.mark.namespace
def test_two_live_in_one_process(
    toy: Checkout, template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each in its own work directory and cache, and none in what the environment names."""
    monkeypatch.setenv("BQ2_CACHE", str(tmp_path / "nobody's"))
    other = make_checkout(template, tmp_path / "b", cache=tmp_path / "b-cache", seed=toy.seed)
    other.edit("plan/recipes/left.yaml", "echo left", "echo other")
    one, two = toy.project(), other.project()
    one.uses.begin(one.root, one.plan.digest, sources=set(), seed=one.seed.identity)
    assert bring_about(one) == [*SCRIPTS]
    assert not (other.root / "work").exists() and not other.cache.exists()
    before = snapshot(toy.root), snapshot(toy.cache)
    assert bring_about(two) == [*SCRIPTS]
    assert (snapshot(toy.root), snapshot(toy.cache)) == before
    assert toy.tree("left", "usr/share/left").exists()
    assert toy.stamp("bottom") == other.stamp("bottom")
    assert toy.stamp("left")["artifact"] != other.stamp("left")["artifact"]
    assert not (tmp_path / "nobody's").exists()


@pytest.mark.namespace
def test_two_that_build_at_once_with_one_cache(
    toy: Checkout, template: Path, tmp_path: Path
) -> None:
    other = make_checkout(template, tmp_path / "other", cache=toy.cache, seed=toy.seed)
    projects = [toy.project(), other.project()]
    projects[0].seed.make({})
    with ThreadPoolExecutor(2) as threads:
        for built in threads.map(bring_about, projects):
            assert set(built) <= {*SCRIPTS}
    for name in SCRIPTS:
        assert toy.stamp(name) == other.stamp(name)
    assert not list(toy.cache.rglob(".[0-9]*")), "something unfinished was left"


def test_what_stands_on_a_failed_task_does_not_begin(toy: Checkout) -> None:
    project = toy.project()
    project.require("fetch", "seed")
    project.failed.add("seed")
    project.require("fetch")
    with pytest.raises(SetupFailed, match="waits for seed"):
        project.require("fetch", "seed")


def kept(toy: Checkout, content: bytes) -> Path:
    """The file of SOURCE in the cache, with `content`."""
    path = toy.cache / "sources" / SOURCE.sha256
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_a_source_is_read_once_in_a_run(toy: Checkout) -> None:
    path = kept(toy, CONTENT)
    project = toy.project(offline="1")
    assert project.fetched(SOURCE) == path
    path.write_bytes(CONTENT.upper())
    assert project.fetched(SOURCE) == path
    with pytest.raises(BuildError, match="offline, and the cache lacks"):
        toy.project(offline="1").fetched(SOURCE)
    assert not path.exists()


def test_all_threads_get_the_same_job_server(toy: Checkout) -> None:
    project = toy.project(jobs="2")
    with ThreadPoolExecutor(8) as threads:
        servers = list(threads.map(lambda _: project.jobs, range(8)))
    assert len({id(server) for server in servers}) == 1
    assert servers[0].path == toy.root / "work" / "jobserver"
    assert toy.project(workdir="other").jobs.path != servers[0].path


def test_threads_that_ask_at_once_try_the_overlay_once(
    toy: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = list[Path]()

    def works(directory: Path) -> bool:
        tried.append(directory)
        time.sleep(0.1)  # a trial takes a while, and two in one directory disturb each other
        return True

    monkeypatch.setattr("rootfs.sandbox.enter.overlay_works", works)
    project = toy.project()
    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(lambda _: project.overlay, range(8)))
    assert tried == [project.workdir]


def test_a_patch_is_the_recipe_s_or_that_of_the_overrides(toy: Checkout) -> None:
    project = toy.project()
    assert project.overrides == toy.root / "work" / "overrides.yaml"
    own = toy.root / "plan" / "recipes" / "left" / "a.patch"
    outside = project.recipe_files("left", ["a.patch"])["a.patch"]
    assert toy.root / "work" in outside.parents and outside.name == "a.patch"
    own.parent.mkdir()
    own.touch()
    assert project.recipe_files("left", ["a.patch"])["a.patch"] == own


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_what_one_forgets_the_other_keeps(built: Checkout, order: Sequence[int]) -> None:
    """Two work directories of one checkout: the mark belongs to the work directory."""
    projects = [built.project(), built.project(workdir="second")]
    forgetting, keeping = (projects[index] for index in order)
    step = forgetting.plan.product["left"]
    Stamp(forgetting, step).forget()
    assert Stamp(forgetting, step).forgotten.exists()
    assert not Stamp(keeping, step).forgotten.exists()
