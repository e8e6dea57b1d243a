"""tasks.engine.records.watch: the progress in a log of Ninja."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.engine.records.events import Events, read
from tasks.engine.records.watch import Pace, Watch, last_steps


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("", None),
        ("+ make\ncc [1/2] x\n", None),
        ("+ cmake --build /build\n[1/30] Building a\n[2/30] Building b\n", (2, 30)),
        ("[9/30] Building a\nwarning: [1/2] is no step\n", (9, 30)),
        ("[1/9] a\n" + "x" * 100_000 + "\n", None),
        ("[1/9] a\n" + "x" * 100_000 + "\n[2/9] b\n", (2, 9)),
    ],
)
def test_the_last_step_of_a_log(tmp_path: Path, text: str, steps: tuple[int, int] | None) -> None:
    log = tmp_path / "log"
    log.write_text(text)
    assert last_steps(log) == steps


def test_what_runs_is_looked_at_and_told_now_and_then(tmp_path: Path) -> None:
    events = Events(tmp_path / "events.jsonl")
    watch = Watch(events)
    events.begin()
    log = tmp_path / "log"
    events.emit("start", step="p:a", log=str(log))
    watch.look()  # there is no log yet
    for done in (3, 5):
        log.write_text(f"[{done}/10] a\n")
        watch.look()
    assert watch.running["p:a"].steps == (5, 10)
    events.emit("end", step="p:a")
    assert watch.running == {}
    watch.look()
    # The second came within seconds of the first.
    told = [each for each in read(events.path)[0] if each["event"] == "progress"]
    assert [(each["step"], each["done"], each["all"]) for each in told] == [("p:a", 3, 10)]


def test_the_estimate_follows_the_pace_since_the_first_look() -> None:
    pace = Pace()
    assert pace.words(100, 1000, 0.0) == "100 of 1000"
    assert pace.words(200, 1000, 60.0) == "200 of 1000, about 8 min to go"
    # Another project's steps begin anew.
    assert pace.words(3, 40, 120.0) == "3 of 40"
    assert pace.words(23, 40, 180.0) == "23 of 40, about 51 s to go"
