"""tasks/engine/survey.py: the state of each step; nothing is changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from tasks.engine.builder import Builder
from tasks.engine.project import Project
from tasks.engine.survey import (
    BUILD,
    STATES,
    STORED,
    UP_TO_DATE,
    Costs,
    Past,
    ahead,
    of_state,
    survey,
    tally,
    tally_in_words,
)
from tests.tasks.toy import SCRIPTS, Checkout, bring_about, snapshot

pytestmark = pytest.mark.namespace
LEFT = "plan/recipes/left.yaml"


def states(project: Project) -> dict[str, str]:
    return {each.step.name: each.state for each in survey(project).values()}


def _nothing(toy: Checkout) -> None:
    pass


def _changed(toy: Checkout) -> None:
    toy.edit(LEFT, "echo left", "echo other")


def _no_work(toy: Checkout) -> None:
    shutil.rmtree(toy.root / "work")


def _no_artifact(toy: Checkout) -> None:
    toy.artifact("left").unlink()


def _no_stamp(toy: Checkout) -> None:
    (toy.root / "work" / "stamps" / "sysroot-from-seed" / "left.json").unlink()


def _forgotten(toy: Checkout) -> None:
    project = toy.project()
    Builder(project, project.plan.product["left"]).forget()


STAND, STORE = dict.fromkeys(SCRIPTS, UP_TO_DATE), dict.fromkeys(SCRIPTS, STORED)
FROM_LEFT = dict.fromkeys(("left", "top", "kernel"), BUILD)
CASES: dict[str, tuple[Callable[[Checkout], None], dict[str, str]]] = {
    "as it was built": (_nothing, STAND),
    "a recipe is other": (_changed, STAND | FROM_LEFT),
    "the work directory is lost": (_no_work, STORE),
    "an artifact is lost": (_no_artifact, STAND | FROM_LEFT),
    "a stamp is lost": (_no_stamp, STAND | {"left": STORED}),
    "a step is forgotten": (_forgotten, STAND | FROM_LEFT),
}


@pytest.mark.parametrize("case", CASES)
def test_it_tells_how_each_step_stands_and_changes_nothing(built: Checkout, case: str) -> None:
    happens, expected = CASES[case]
    happens(built)
    project = built.project()
    before = snapshot(built.root), snapshot(built.cache)
    assert states(project) == expected
    ahead(project, survey(project).values())
    assert (snapshot(built.root), snapshot(built.cache)) == before


@pytest.mark.parametrize("case", CASES)
def test_a_run_builds_what_the_survey_says(built: Checkout, case: str) -> None:
    """At most: where the same bytes come out, it may be less."""
    happens, expected = CASES[case]
    happens(built)
    told = {name for name, state in expected.items() if state == BUILD}
    done = set(bring_about(built.project()))
    assert done <= told and bool(done) == bool(told)
    assert states(built.project()) == STAND


def test_a_fresh_checkout_is_surveyed_without_a_work_directory(toy: Checkout) -> None:
    before = snapshot(toy.root.parent)
    assert states(toy.project()) == dict.fromkeys(SCRIPTS, BUILD)
    assert snapshot(toy.root.parent) == before


def test_the_id_is_known_until_something_before_is_to_be_built(built: Checkout) -> None:
    _changed(built)
    found = {each.step.name: each for each in survey(built.project()).values()}
    assert found["right"].id == built.stamp("right")["step"]
    assert found["right"].artifact == built.stamp("right")["artifact"]
    assert found["right"].size == built.artifact("right").stat().st_size
    assert found["left"].id not in (None, built.stamp("left")["step"])
    assert found["top"].id is None and found["top"].artifact is None


def test_what_is_ahead_and_what_it_costs(built: Checkout) -> None:
    _changed(built)
    project = built.project(jobs="2")
    found = survey(project)
    told = ahead(project, found.values())
    assert told["build"] == [f"sysroot-from-seed:{name}" for name in FROM_LEFT]
    assert told["store"] == [] and told["costs"].keys() == {*told["build"]}
    # One after the other: each depends on the one before it.
    busy = {task: min(took, told["costs"][task]) for task, took in told["took"].items()}
    assert told["seconds"] == pytest.approx(sum(busy.values()), abs=0.2)
    # What is built for the first time is told by the package's latest build.
    latest = Past(project.store).of(found["sysroot-from-seed:left"])
    assert latest and latest.step == built.stamp("left")["step"]
    assert Costs(project).of(found["sysroot-from-seed:left"]) == latest.cpu


def test_an_unknown_package_is_guessed_in_units_of_another(toy: Checkout) -> None:
    project = toy.project()
    costs = Costs(project)
    standing = survey(project)["sysroot-from-seed:left"]
    assert costs.past.of(standing) is None
    assert costs.of(standing) == costs.seconds_of_unit > 0


def test_counts_and_their_words(built: Checkout) -> None:
    _changed(built)
    found = survey(built.project()).values()
    counts = tally(found, "sysroot-from-seed")
    assert counts == dict.fromkeys(STATES, 0) | {UP_TO_DATE: 2, BUILD: 3}
    assert tally_in_words(counts) == "2 of 5 up to date, 3 to build"
    assert [each.step.name for each in of_state(found, UP_TO_DATE)] == ["bottom", "right"]
    assert sum(tally(found, "rootfs-from-sysroot").values()) == 0
