"""Events of finished, failed and killed runs, as bars and hits."""

from __future__ import annotations

from typing import Any

from tasks.engine.records.events import Event
from tasks.report.facts import BUILT, CUT, FAILED, Bar
from tasks.report.history import built_something, history

A, B = "sysroot-from-seed:a", "sysroot-from-seed:b"


def run(*events: tuple[float, str, dict[str, Any]], name: str = "1", arch: str = "x86_64") -> Any:
    first = {"event": "run", "time": 100, "run": name, "set": "base", "arch": arch}
    more = [{"event": kind, "time": 100 + at, "run": name, **facts} for at, kind, facts in events]
    return [first | {"command": ["pkg", "jobs=2"]}, *more]


def test_a_run_as_it_went() -> None:
    events: list[Event] = run(
        (1, "hit", {"step": A}),
        (2, "start", {"step": A}),
        (3, "start", {"step": B}),
        (5, "failure", {"step": B, "task": B, "message": "no"}),
        (6, "failure", {"task": "image", "message": "of no step"}),
        (9, "end", {"step": A}),
        (10, "over", {"status": 1, "seconds": 10.0}),
    )
    (found,) = history(events, "base", "x86_64")
    assert (found.command, found.seconds, found.outcome.status) == ("pkg jobs=2", 10, 1)
    assert set(found.bars) == {Bar(A, 2, 9, BUILT), Bar(B, 3, 5, FAILED)}
    assert found.hits == ((A, 1),) and built_something(found)


def test_a_killed_run_ends_where_it_was_seen_last() -> None:
    events = run((2, "start", {"step": A}), (7, "progress", {"step": A, "done": 1, "all": 2}))
    (found,) = history(events, "base", "x86_64")
    assert found.bars == (Bar(A, 2, 7, CUT),)
    assert found.outcome.how == "killed" and found.seconds == 7


def test_the_newest_is_first_and_others_are_left_out() -> None:
    old, other = run(name="old"), run(name="other", arch="aarch64")
    new = run((1, "hit", {"step": A}), name="new")
    headless = [{"event": "start", "time": 1, "run": "headless", "step": A}]
    found = history([*old, *other, *headless, *new], "base", "x86_64")
    assert [built_something(each) for each in found] == [True, False]


def test_what_cannot_be_read_is_passed_over() -> None:
    events = run(
        (1, "start", {}),
        (2, "end", {"step": A}),
        (3, "hit", {}),
        (4, "of a later kind", {"step": A}),
        (5, "start", {"step": ["x"]}),
    )
    (found,) = history([*events, {"event": "start", "time": "now", "run": "1"}], "base", "x86_64")
    assert not built_something(found) and found.seconds == 5
