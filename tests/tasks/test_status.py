"""status, why, plan diff=1, list, log: in every state of a work directory."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from doit.globals import Globals

from tasks.commands import PURPOSES
from tasks.release import let_others_build
from tasks.status import gather, lines
from tests.tasks.toy import SCRIPTS, Checkout, doit, until

pytestmark = pytest.mark.namespace
PHASE = "sysroot-from-seed"
NONE = dict.fromkeys(("up_to_date", "stored", "build", "contradicted", "waiting"), 0)


def status(toy: Checkout) -> dict[str, Any]:
    done = toy.doit("status", "json=1")
    assert done.status == 0, done
    return dict(json.loads(done.said))


def said(toy: Checkout, *words: str) -> str:
    done = toy.doit(*words)
    assert done.status == 0 and "Traceback" not in done.said, done
    return done.said


# --- status ------------------------------------------------------------------------------------


def test_nothing_is_there_yet(toy: Checkout) -> None:
    counts = status(toy)["phases"][PHASE]
    assert counts == NONE | {"build": 5}
    words = said(toy, "status")
    assert "no run yet" in words and "5 to build" in words
    assert "next: 5 to build at most (bottom, left, right, top, kernel), about " in words


def test_all_stands_and_the_last_run_is_told(built: Checkout) -> None:
    assert status(built)["phases"][PHASE] == NONE | {"up_to_date": 5}
    words = said(built, "status")
    assert "5 of 5 up to date" in words and "next: nothing to build" in words
    assert "last run: doit pkg, " in words and "ago, succeeded after" in words


def test_another_work_directory_finds_it_in_the_store(built: Checkout) -> None:
    assert status(built)["phases"][PHASE]["up_to_date"] == 5
    shutil.rmtree(built.root / "work")
    assert status(built)["phases"][PHASE] == NONE | {"stored": 5}
    assert "next: 5 from the store" in said(built, "status")


def test_a_broken_work_directory_is_told_of(built: Checkout) -> None:
    work = built.root / "work"
    (work / "stamps" / PHASE / "left.json").write_text("{")
    (work / "failures").mkdir(exist_ok=True)
    (work / "failures" / f"{PHASE}-left.json").write_text("[")
    with (work / "events.jsonl").open("a") as events:
        events.write('{"event": \n')
    told = status(built)
    assert told["phases"][PHASE]["up_to_date"] == 4 and told["broken_events"] == 1
    assert "1 broken lines in" in said(built, "status")


def test_a_failure_is_told_until_the_step_stands(toy: Checkout) -> None:
    toy.recipe("left", "echo 'x: error: bad' >&2; exit 3", "bottom")
    assert toy.doit("pkg").status != 0
    (failed,) = status(toy)["failed"]
    assert (failed["step"], failed["status"]) == (f"{PHASE}:left", 3)
    assert f"failed: {PHASE}:left: x: error: bad" in said(toy, "status")
    toy.recipe("left", SCRIPTS["left"], "bottom")
    toy.builds("left", "top", "kernel")
    assert status(toy)["failed"] == []


@pytest.mark.fault(
    "a package fails, and its recipe is put back as it was",
    "neither `status` nor the page of `report` tells of the failure any more",
)
def test_a_failure_of_an_edit_that_was_taken_back_is_over(built: Checkout) -> None:
    report = built.root / "work" / "failures" / f"{PHASE}-left.json"
    before = (built.root / "plan" / "recipes" / "left.yaml").read_text()
    recipe = built.recipe("left", "exit 3", "bottom")
    assert built.doit("pkg:left").status != 0 and report.exists()
    recipe.write_text(before)
    assert status(built)["failed"] == []
    said(built, "report")
    page = built.root / "output" / "bootstrap-qcow2-base-x86_64.report.html"
    assert "left: pkg:left" not in page.read_text()
    built.builds()
    assert not report.exists()


def test_a_failure_without_a_log_names_the_shell_alone(built: Checkout) -> None:
    built.edit("plan/recipes/left.yaml", "echo left", "echo other")
    report = built.root / "work" / "failures" / f"{PHASE}-left.json"
    report.parent.mkdir(exist_ok=True)
    report.write_text(json.dumps({"step": f"{PHASE}:left", "message": "the disk is full"}))
    assert f"\n  doit shell {PHASE}:left\n" in said(built, "status")


def test_what_runs_is_seen_from_a_second_terminal(toy: Checkout) -> None:
    toy.recipe("bottom", "echo '[3/7] cc'; while [ ! -e /build/go ]; do sleep 0.1; done")
    process = toy.start(doit("pkg:bottom"))
    log = toy.root / "work" / "build" / PHASE / "bottom" / "log"
    until(lambda: log.exists() and "[3/7]" in log.read_text(), "the step")
    until(lambda: "done" in status(toy)["running"]["steps"].get(f"{PHASE}:bottom", {}), "a look")
    words = said(toy, "status")
    assert f"process {process.pid} (doit pkg:bottom)" in words
    assert f"  {PHASE}:bottom [3/7], for " in words
    assert "[3/7] cc" in said(toy, "log", "pkg:bottom")
    follow = toy.start(doit("log", "-f", "pkg:bottom"))
    assert follow.stdout and any("[3/7] cc" in line for line in follow.stdout)
    process.terminate()
    process.communicate()
    assert status(toy)["running"] is None
    # The directory of an interrupted step is kept, so the log does not end by itself.
    follow.terminate()
    follow.communicate()


def test_a_killed_run_is_told_as_such(built: Checkout) -> None:
    events = built.root / "work" / "events.jsonl"
    lines = [line for line in events.read_text().splitlines() if '"over"' not in line]
    events.write_text("\n".join(lines) + "\n")
    assert "was killed" in said(built, "status")


def test_a_run_that_lets_others_build_is_not_told_as_killed(
    toy: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = SimpleNamespace(backend=SimpleNamespace(dump=lambda: None))
    monkeypatch.setattr(Globals, "dep_manager", database, raising=False)
    project = toy.project()
    project.lock.take("doit boot")
    project.events.begin(command=["boot"])
    let_others_build(project)
    (told,) = [line for line in lines(project, gather(project)) if "last run: " in line]
    assert "doit boot, " in told and "built what it needs in 0 s; it goes on" in told


# --- why ---------------------------------------------------------------------------------------


def test_why_names_the_root(built: Checkout) -> None:
    assert f"{PHASE}:top is up to date" in said(built, "why", "top")
    built.edit("plan/recipes/bottom.yaml", "echo bottom", "echo other")
    built.edit("plan/recipes/bottom.yaml", "version: '1'", "version: '2'")
    words = said(built, "why", "pkg:top")
    assert f"{PHASE}:top would be built again" in words
    assert f"  {PHASE}:bottom comes first and would be built again" in words
    assert "version: 1 → 2" in words
    assert "-echo bottom > $share/bottom" in words and "+echo other > $share/bottom" in words
    assert "left comes before" not in words  # it only waits, too


def test_why_says_again_only_of_what_was_built_here(toy: Checkout) -> None:
    words = said(toy, "why", "pkg:top")
    assert f"{PHASE}:top would be built\n  this work directory has no earlier build of it" in words
    assert f"{PHASE}:bottom comes first and would be built\n" in words


def test_why_after_the_bytes_changed(built: Checkout) -> None:
    built.edit("plan/recipes/bottom.yaml", "echo bottom", "echo other")
    built.builds("bottom", words=("pkg:bottom",))
    words = said(built, "why", "left")
    before, after = (text for text in words.split("the bytes of bottom: ")[1].split()[:3:2])
    assert len(before) == len(after) == 12 and before != after


def _forget(toy: Checkout) -> None:
    assert toy.doit("forget", "pkg:left").status == 0


def _lose_the_artifact(toy: Checkout) -> None:
    toy.artifact("left").unlink()


def _know_nothing(toy: Checkout) -> None:
    shutil.rmtree(toy.root / "work" / "stamps")
    shutil.rmtree(toy.cache / "steps")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_forget, "it was forgotten"),
        (_lose_the_artifact, "missing from the store"),
        (_know_nothing, "no earlier build of it"),
    ],
)
def test_why_of_other_reasons(
    built: Checkout, spoil: Callable[[Checkout], None], reason: str
) -> None:
    spoil(built)
    assert reason in said(built, "why", "left")


def test_why_asks_for_a_package(toy: Checkout) -> None:
    assert "doit why pkg:NAME" in toy.doit("why").said
    wrong = toy.doit("why", "pkg:letf")
    assert wrong.status != 0 and "did you mean pkg:left?" in wrong.said


# --- plan diff=1 -------------------------------------------------------------------------------


def test_the_difference_to_the_last_plan(built: Checkout) -> None:
    assert said(built, "plan", "diff=1") == "next: nothing to build\n"
    built.edit("plan/recipes/left.yaml", "echo left", "echo other")
    built.recipe("extra", "true")
    built.edit("plan/sets.yaml", "[top, kernel]", "[top, extra, kernel]")
    words = said(built, "plan", "diff=1")
    assert f"{PHASE}:left\n" in words and f"{PHASE}:extra is new" in words
    assert "echo other >> $share/left" in words and f"{PHASE}:right" not in words
    assert "next: 4 to build at most (left, top, extra, kernel)" in words


def test_a_build_from_the_store_alone_leaves_a_plan_to_compare_with(built: Checkout) -> None:
    shutil.rmtree(built.root / "work")
    assert not built.builds().built
    assert said(built, "plan", "diff=1") == "next: nothing to build\n"


def test_without_a_plan_of_before(toy: Checkout) -> None:
    done = toy.doit("plan", "diff=1")
    assert done.status != 0 and "doit plan writes one" in done.said


# --- list --------------------------------------------------------------------------------------


def test_the_parts_and_the_packages_as_they_stand(built: Checkout) -> None:
    built.edit("plan/recipes/left.yaml", "echo left", "echo other")
    lines = said(built, "list").partition("\nbuild:")[0].splitlines()
    rows = {line.split()[0]: line for line in lines}
    assert "2 of 5 up to date, 3 to build" in rows[PHASE]
    assert "not made" in rows["image"] and "unpacked" in rows["seed"]
    words = said(built, "list")
    assert all(len(line) <= 80 for line in words.splitlines()), words
    parts, *purposes = re.split(r"^(?=\w+:$)", words, flags=re.MULTILINE)
    assert parts.index("  seed ") < parts.index(PHASE) < parts.index("  image ")
    assert [each.partition(":")[0] for each in purposes] == [*PURPOSES]
    for each, names in zip(purposes, PURPOSES.values(), strict=True):
        assert tuple(re.findall(r"^  (\w+) ", each, re.MULTILINE)) == tuple(names)
    packages = {line.split()[0]: line for line in said(built, "list", "pkg").splitlines()}
    assert "to build" in packages["left"] and "MB" not in packages["left"]
    assert "up to date" in packages["right"] and "0.0 MB" in packages["right"]
    assert said(built, "list", PHASE) == said(built, "list", "pkg")


def test_the_time_is_that_of_the_step_itself(built: Checkout) -> None:
    """The store may know the package from another architecture, or from before a change."""
    kept = json.loads(built.record("right").read_text())
    other = built.cache / "steps" / f"{'0' * 64}.json"
    other.write_text(json.dumps(kept | {"step": "0" * 64, "seconds": 4500, "cpu": 4500}))
    rows = {line.split()[0]: line for line in said(built, "list", "pkg").splitlines()}
    assert rows["right"].endswith(" 0 s")
    built.edit("plan/recipes/right.yaml", "cat /sysroot", "cat  /sysroot")
    rows = {line.split()[0]: line for line in said(built, "list", "pkg").splitlines()}
    assert rows["right"].endswith(" 75 min"), "the latest, where it was not built itself"


# --- log ---------------------------------------------------------------------------------------


def test_a_log_is_there_after_a_failure_only(built: Checkout) -> None:
    none = built.doit("log", "pkg:left")
    assert none.status == 0 and "no log of pkg:left: it was built, or came from" in none.said
    shutil.rmtree(built.root / "work")
    assert built.doit("pkg").from_store
    for words in (("log", "pkg:left"), ("log", "-f", "pkg:left")):
        hit = built.doit(*words)
        assert hit.status == 0 and hit.said == none.said, "nothing is wrong after a store hit"
    shutil.rmtree(built.root / "work")
    assert "no log of pkg:left: it was not built here yet\n" in said(built, "log", "pkg:left")
    built.recipe("left", "echo 'what I say'; exit 1", "bottom")
    assert built.doit("pkg").status != 0
    for words in (("log", "pkg:left"), ("log", "-f", "pkg:left")):
        assert "what I say\n" in said(built, *words)
    assert "did you mean pkg:left?" in built.doit("log", "pkg:lef").said


@pytest.mark.fault("a package has a recipe, but is not in the set", "with=NAME is the remedy")
@pytest.mark.parametrize(
    "words", ["pkg:spare", "why pkg:spare", "log spare", "shell pkg:spare", "verify packages=spare"]
)
def test_a_package_outside_of_the_set(toy: Checkout, words: str) -> None:
    toy.recipe("spare", "true")
    done = toy.doit(*words.split())
    assert done.status != 0 and "spare is not in the set base\n  with=spare adds" in done.said, done
