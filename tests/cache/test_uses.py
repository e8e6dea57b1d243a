"""cache/uses.py: what a run records as used, and which processes wait for each other."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from cache.uses import PATIENCE, Uses, recent, removing, saying

ONE, TWO = "1" * 64, "2" * 64


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    directory = tmp_path / "checkout"
    directory.mkdir()
    (directory / "dodo.py").touch()
    return directory


def run(checkout: Path, plan: str, **steps: str) -> Path:
    """What a run of `plan` leaves, one second after the last one."""
    uses = Uses()
    uses.begin(checkout, plan, sources={f"source of {plan}"}, seed="seed")
    for step, artifact in steps.items():
        uses.took(step, artifact)
    files = sorted(_directory(checkout).glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    for number, file in enumerate(files):
        os.utime(file, (time.time() - len(files) + number,) * 2)
    return files[-1]


def _directory(checkout: Path) -> Path:
    return checkout.parent / "cache" / "uses"


def test_what_is_said_is_found(checkout: Path) -> None:
    run(checkout, "plan", a=ONE)
    run(checkout, "plan", b=TWO)
    use, others = recent(10)
    assert use.steps == {"a": ONE, "b": TWO} and others == []
    assert use.sources == {"source of plan"} and use.seeds == {"seed"}


def test_saying_it_again_writes_nothing(checkout: Path) -> None:
    file = run(checkout, "plan", a=ONE)
    before = file.read_bytes()
    run(checkout, "plan", a=ONE)
    assert file.read_bytes() == before


def test_only_the_last_plans_of_each_checkout_count(checkout: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "dodo.py").touch()
    run(other, "plan 0", z=ONE)
    files = [run(checkout, f"plan {number}", **{f"step{number}": ONE}) for number in range(4)]
    run(checkout, "plan 0")  # it is the latest again
    use, others = recent(2)
    assert sorted(use.steps) == ["step0", "step3", "z"]
    assert set(others) == {files[1], files[2]}


@pytest.mark.fault("doit gc keep=1 while two plans of a checkout are built", "both count")
def test_what_runs_counts_whatever_is_kept(checkout: Path) -> None:
    running = Uses()
    running.begin(checkout, "plan 1", sources=set(), seed="seed")
    running.took("a", ONE)
    run(checkout, "plan 2", b=TWO)
    assert recent(1)[0].steps == {"a": ONE, "b": TWO} and recent(1)[1] == []
    del running
    assert recent(1)[0].steps == {"b": TWO}


@pytest.mark.parametrize("tail", ['{"b": "2', "}{", "null", "[1, 2]", '"text"', "7", "\0"])
def test_a_line_that_was_cut_off_is_passed_over(checkout: Path, tail: str) -> None:
    file = run(checkout, "plan", a=ONE)
    with file.open("a") as end:
        end.write(tail)
    run(checkout, "plan", c=TWO)
    assert recent(10)[0].steps == {"a": ONE, "c": TWO}


@pytest.mark.parametrize("content", [b"", b"{", b"[]\n", b"{}\n", b"\xff\n"])
def test_a_record_that_cannot_be_read_is_written_anew(checkout: Path, content: bytes) -> None:
    file = run(checkout, "plan", a=ONE)
    file.write_bytes(content)
    assert recent(10)[1] == [file]
    run(checkout, "plan", b=TWO)
    assert recent(10)[0].steps == {"b": TWO} and recent(10)[1] == []


def test_a_checkout_that_is_gone_counts_for_a_week(checkout: Path) -> None:
    file = run(checkout, "plan", a=ONE)
    (checkout / "dodo.py").unlink()
    assert recent(10)[0].steps == {"a": ONE}
    os.utime(file, (time.time() - PATIENCE - 60,) * 2)
    assert recent(10)[1] == [file]


def test_foreign_files_are_no_records(checkout: Path) -> None:
    run(checkout, "plan")
    (_directory(checkout) / "notes.jsonl").write_text("mine")
    assert recent(1)[1] == []


def test_who_removes_waits_for_who_takes_and_the_reverse() -> None:
    order = []

    def remove() -> None:
        with removing():
            order.append("removed")

    with saying(), saying():
        thread = threading.Thread(target=remove)
        thread.start()
        time.sleep(0.1)
        order.append("taken")
    thread.join()
    with removing():
        thread = threading.Thread(target=lambda: _take(order))
        thread.start()
        time.sleep(0.1)
        order.append("removed again")
    thread.join()
    assert order == ["taken", "removed", "removed again", "taken again"]


def _take(order: list[str]) -> None:
    with saying():
        order.append("taken again")


def test_a_cache_that_cannot_be_written_to_stops_nobody(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BQ2_CACHE", "/proc/nowhere")
    uses = Uses()
    uses.begin(checkout, "plan", sources=set(), seed="seed")
    with saying():
        uses.took("a", ONE)
    assert recent(10)[0].steps == {}
