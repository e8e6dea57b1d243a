"""Commands that only ask change no byte of the work directory and the cache."""

from __future__ import annotations

import pytest

from cache.lock import WorkLock
from tests.tasks.toy import Checkout, snapshot

pytestmark = pytest.mark.namespace

QUESTIONS = [
    "info pkg:left",
    "info sysroot-from-seed:left",
    "info image",
    "list",
    "list pkg",
    "list --all --status",
    "status",
    "status json=1",
    "why pkg:left",
    "sbom",
    "plan diff=1",
    "licenses",
    "settings",
    "log pkg:left",
    "overrides",
    "gc dry=1",
]
# These have nothing to tell where nothing was done yet.
OF_THE_PAST = {"plan diff=1"}


def ask(toy: Checkout, question: str, *, status: int = 0) -> None:
    done = toy.doit(*question.split())
    # `doit info` fails where the task is to be run.
    good = {0, 1} if question.startswith("info") else {status}
    assert done.status in good and "Traceback" not in done.said, done


@pytest.mark.parametrize("question", QUESTIONS)
def test_what_is_there_stays_as_it_is(built: Checkout, question: str) -> None:
    """Also where something is to be built, or could be taken over from the store."""
    (built.root / "work/stamps/sysroot-from-seed/right.json").unlink()
    built.edit("plan/recipes/left.yaml", "echo left", "echo other")
    log = built.root / "work/build/sysroot-from-seed/left/log"
    log.parent.mkdir(parents=True)
    log.write_text("what it printed\n")
    places = built.root / "work", built.cache
    before = [snapshot(place) for place in places]
    ask(built, question)
    assert [snapshot(place) for place in places] == before


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_fresh_checkout_gets_no_work_directory(toy: Checkout, question: str) -> None:
    ask(toy, question, status=1 if question in OF_THE_PAST else 0)
    assert not (toy.root / "work").exists()
    assert not toy.cache.exists()


def test_a_run_that_builds_remembers_for_doit(toy: Checkout) -> None:
    """What is not written by who asks is written by who builds: a task is then up to date."""
    database = toy.root / "work" / "doit.db"
    toy.builds("bottom", words=["pkg:bottom"])
    written = database.read_bytes()
    assert b"sysroot-from-seed:bottom" in written
    assert "up to date" in toy.doit("info", "sysroot-from-seed:bottom").said


@pytest.mark.fault("doit's database is damaged or lost", "all is found in the store again")
@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff\x00", None])
def test_a_broken_database_costs_no_build(built: Checkout, content: bytes | None) -> None:
    database = built.root / "work" / "doit.db"
    if content is None:
        database.unlink()
    else:
        database.write_bytes(content)
    built.builds()
    assert b"sysroot-from-seed:bottom" in database.read_bytes()


@pytest.mark.fault(
    "a recipe is edited, and `plan` writes the new plan, while a run builds from the old one",
    "`plan` is refused; the next run builds the package again",
)
def test_no_plan_is_written_while_another_is_built(built: Checkout) -> None:
    lock = WorkLock(built.root / "work")
    lock.take("another")
    built.edit("plan/recipes/left.yaml", "echo left", "echo other")
    before = snapshot(built.root / "work")
    refused = built.doit("plan")
    assert refused.status != 0 and "is in use by" in refused.said, refused
    assert snapshot(built.root / "work") == before
    lock.release()
    assert built.doit("plan").status == 0
    built.builds("left", "top", "kernel")


def test_a_question_while_a_run_holds_the_work_directory(built: Checkout) -> None:
    """It is answered; a run that is refused leaves all as it is, too."""
    lock = WorkLock(built.root / "work")
    lock.take("another")
    before = snapshot(built.root / "work")
    try:
        ask(built, "status")
        ask(built, "list --all --status")
        refused = built.doit("pkg")
        assert refused.status != 0 and "is in use by" in refused.said
    finally:
        lock.release()
    assert snapshot(built.root / "work") == before
