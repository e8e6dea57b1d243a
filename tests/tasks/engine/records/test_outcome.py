"""The outcome of a run, from its events and the holder of the lock."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tasks.engine.records.outcome import Outcome, outcome


def events(begin: float = 100.0, **over: Any) -> list[dict[str, Any]]:
    run = {"event": "run", "time": begin, "run": "1", "process": 12}
    note = {"event": "note", "time": begin + 5, "run": "1"}
    return [
        run,
        note,
        *([{"event": "over", "time": begin + 7, "run": "1", **over}] if over else []),
    ]


@pytest.mark.parametrize(
    ("over", "words"),
    [
        ({"status": 0, "seconds": 7}, "succeeded after 7 s"),
        ({"status": 3, "seconds": 7}, "failed with status 3 after 7 s"),
        ({"status": 130, "signal": "SIGINT"}, "was interrupted by Ctrl-C after 7 s"),
        ({"status": 129, "signal": "SIGHUP"}, "was interrupted by a hang-up of its terminal"),
        ({"status": 143, "signal": "SIGTERM"}, "was interrupted by a termination signal after"),
        # The program in a guest may end with any status.
        ({"status": 130, "signal": None}, "failed with status 130 after"),
    ],
)
def test_a_run_that_ended(over: dict[str, Any], words: str) -> None:
    assert outcome(events(**over), None).words.startswith(words)
    assert outcome(events(**over), "process 12 (doit pkg)").how != "running"


@pytest.mark.parametrize("holder", [None, "process 123 (doit pkg)", "another run"])
def test_a_run_without_an_end_was_killed_if_others_hold_the_lock(holder: str | None) -> None:
    assert outcome(events(), holder) == Outcome("killed", 5)
    assert outcome(events(), holder).words == "was killed 5 s or later after its start"


@pytest.mark.fault(
    "`status` or `report` is asked while the machine of `boot` runs",
    "they do not say that `boot` was killed",
)
def test_a_run_that_released_the_work_directory_was_not_killed_for_sure() -> None:
    released = {"event": "released", "time": 106.0, "run": "1"}
    assert outcome([*events(), released], "process 123 (doit pkg)") == Outcome("released", 6)
    words = outcome([*events(), released], None).words
    assert words == "built what it needs in 6 s; it goes on since then, or was killed"
    run, *rest = events(status=1, seconds=7)
    assert outcome([run, released, *rest], None).words == "failed with status 1 after 7 s"


def test_a_run_that_holds_the_lock_is_running() -> None:
    going = outcome(events(time.time() - 40), "process 12 (doit pkg)")
    assert going.how == "running" and 40 <= going.seconds < 60
    assert going.words.startswith("is running, for 4")
