"""A step whose next build gives other bytes: every run reports it, until a person chooses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.tasks.test_gc import LATER
from tests.tasks.toy import SCRIPTS, Checkout, Done, make_checkout

pytestmark = pytest.mark.namespace

RANDOM = "cat /proc/sys/kernel/random/uuid > $share/bottom"


@pytest.fixture
def chancy(toy: Checkout) -> Checkout:
    """A checkout in which all stands, and `bottom` comes out otherwise each time."""
    toy.recipe("bottom", RANDOM)
    toy.builds(*SCRIPTS)
    return toy


def rebuilt(toy: Checkout) -> tuple[Done, str, str]:
    """Build `bottom` once more: what was said, the artifact of before, and that of now."""
    first = toy.stamp("bottom")["artifact"]
    assert toy.doit("forget", "pkg:bottom").status == 0
    done = toy.doit("pkg")
    assert done.status != 0 and done.built == ["bottom"] and "Traceback" not in done.said, done
    (row,) = (toy.cache / "contradicted").glob("*.json")
    later = json.loads(row.read_text())[-1]["artifact"]
    return done, first, later


def alarm(done: Done, *artifacts: str) -> None:
    """It was said that these contradict, and how to go on; and nothing was built."""
    assert done.status != 0 and "Traceback" not in done.said, done
    assert "CONTRADICTED" in done.said and "usr/share/bottom" in done.said, done
    for artifact in artifacts:
        assert f"doit choose {artifact[:12]}" in done.said, done


@pytest.mark.fault(
    "a package is built again (doit forget) and gives other bytes",
    "an error with both hashes and the first difference; both are kept; nothing is built on it",
)
def test_other_bytes_are_an_alarm(chancy: Checkout) -> None:
    done, first, later = rebuilt(chancy)
    alarm(done, first, later)
    assert first != later
    assert all((chancy.cache / "artifacts" / f"{each}.tar").exists() for each in (first, later))
    again = chancy.doit("pkg")
    alarm(again, first, later)
    assert again.built == []
    alarm(chancy.doit("image"), first, later)
    status = " ".join(chancy.doit("status").said.split())
    assert "0 of 5 up to date, 1 contradicted, 4 waiting for a choice" in status, status
    assert "next: 1 contradicted (bottom), 4 waiting for it: doit choose" in status
    assert "to build" not in status + again.said
    assert "bottom comes first and is contradicted" in chancy.doit("why", "top").said
    assert "CONTRADICTED: sysroot-from-seed:bottom" in status and f"choose {later[:12]}" in status
    told = json.loads(chancy.doit("status", "json=1").said)
    assert told["contradicted"] == {"sysroot-from-seed:bottom": [first, later]}
    assert "its builds gave different bytes" in chancy.doit("why", "pkg:bottom").said
    assert "later" in chancy.doit("choose").said
    events = (chancy.root / "work" / "events.jsonl").read_text()
    assert '"failure"' in events and "CONTRADICTED" in events
    report = chancy.root / "work" / "failures" / "sysroot-from-seed-bottom.json"
    assert "CONTRADICTED" in report.read_text()


@pytest.mark.fault(
    "builds of another checkout contradict what stands in this one",
    "the same alarm here; doit choose settles it for all",
)
def test_another_checkout(chancy: Checkout, template: Path, tmp_path: Path) -> None:
    other = make_checkout(template, tmp_path / "other", cache=chancy.cache, seed=chancy.seed)
    other.recipe("bottom", RANDOM)
    other.builds()
    _, first, later = rebuilt(other)
    alarm(chancy.doit("pkg"), first, later)
    assert other.doit("choose", later[:12]).status == 0
    done = chancy.builds("left", "right", "kernel", "top")
    assert done.from_store == ["bottom"] and chancy.stamp("bottom")["artifact"] == later
    other.builds()
    assert other.stamp("bottom")["artifact"] == later


def test_the_first_may_be_chosen(chancy: Checkout) -> None:
    _, first, later = rebuilt(chancy)
    assert chancy.doit("choose", later[:11]).status != 0
    assert chancy.doit("choose", "0" * 12).status != 0
    done = chancy.doit("choose", first[:12])
    assert done.status == 0 and "is used from now on" in done.said
    chancy.builds()
    assert chancy.stamp("bottom")["artifact"] == first
    assert "nothing to choose" in chancy.doit("choose").said


@pytest.mark.fault(
    "a step is contradicted before and after its recipe was edited, with the same artifacts",
    "`choose` settles both",
)
def test_one_choice_for_two_steps(chancy: Checkout) -> None:
    _, first, _ = rebuilt(chancy)
    (row,) = (chancy.cache / "contradicted").glob("*.json")
    other = "0" * 64
    records = [each | {"step": other} for each in json.loads(row.read_text())]
    (chancy.cache / "contradicted" / f"{other}.json").write_text(json.dumps(records))
    (chancy.cache / "steps" / f"{other}.json").write_text(json.dumps(records[0]))
    done = chancy.doit("choose", first[:12])
    assert done.status == 0 and done.said.count("is used from now on") == 2, done
    assert "nothing to choose" in chancy.doit("choose").said


@pytest.mark.fault(
    "the artifact of before is gone when a step gives other bytes", "the alarm says so"
)
def test_the_first_is_gone(chancy: Checkout) -> None:
    first = chancy.artifact("bottom")
    first.unlink()
    shutil.rmtree(chancy.tree("bottom", ""))
    done = chancy.doit("pkg")
    assert done.status != 0 and "CONTRADICTED" in done.said and "gone" in done.said, done


@pytest.mark.fault("doit gc beside a step that is contradicted", "all its artifacts stay")
def test_gc_keeps_what_is_to_be_chosen(chancy: Checkout, tmp_path: Path) -> None:
    _, first, later = rebuilt(chancy)
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "sitecustomize.py").write_text(LATER)
    clock = {"PYTHONPATH": str(tmp_path / "later")}
    both = [chancy.cache / "artifacts" / f"{each}.tar" for each in (first, later)]
    assert chancy.doit("gc", "keep=1", **clock).status == 0
    assert [path.exists() for path in both] == [True, True]
    assert chancy.doit("choose", first).status == 0
    chancy.builds()
    assert chancy.doit("gc", "keep=1", **clock).status == 0
    assert [path.exists() for path in both] == [True, False]
    assert chancy.doit("fsck").status == 0
