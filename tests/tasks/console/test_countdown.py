"""The remaining time as the seconds pass."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tasks.console.countdown import Countdown
from tasks.engine.records.watch import Running

BEFORE = {"left": ["bottom"], "right": ["bottom"], "top": ["left", "right"]}


def countdown(jobs: int = 4, **took: float) -> Countdown:
    found = Countdown(BEFORE, jobs)
    costs = {"bottom": 40.0, "left": 40.0, "right": 40.0, "top": 40.0}
    forecast: dict[str, Any] = {"build": [*costs], "costs": costs, "took": took}
    found.expect(forecast)
    return found


def since(moment: float, steps: tuple[int, int] | None = None) -> Running:
    return Running(Path("/log"), moment, steps)


@pytest.mark.parametrize("took", [{}, dict.fromkeys(("bottom", "left", "right", "top"), 10.0)])
def test_each_second_is_one_second_less(took: dict[str, float]) -> None:
    counted = countdown(**took)
    one, two = {"bottom": since(0)}, {"left": since(10), "right": since(10)}
    left = [counted.left(one, now)[0] for now in range(10)]
    assert [a - b for a, b in pairwise(left)] == pytest.approx([1] * 9)
    counted.ended("bottom")
    left = [counted.left(two, 10.0 + now)[0] for now in range(9)]
    assert [a - b for a, b in pairwise(left)] == pytest.approx([1] * 8)


def test_over_the_time_is_admitted() -> None:
    counted = countdown(bottom=10, left=10, right=10, top=10)
    assert counted.words({"bottom": since(0)}, 9) == "about 31 s to go"
    assert counted.words({"bottom": since(0)}, 11) == "at least 30 s to go"
    for step in ("bottom", "left", "right"):
        counted.ended(step)
    assert counted.words({"top": since(0)}, 11) == "longer than expected"
    assert counted.words({"top": since(0)}, 14) == "longer than last time"
    assert countdown().words({"bottom": since(0)}, 900) == "at least 30 s to go"


def test_ninja_knows_better_than_last_time() -> None:
    counted = countdown(bottom=10, left=0, right=0, top=0)
    running = {"bottom": since(0, (1, 11))}
    assert counted.words(running, 1)
    running["bottom"].steps = (2, 11)
    assert counted.pace("bottom", running["bottom"], 21) == 180
    assert not counted.is_late("bottom", running, 21)
    assert counted.words(running, 21) == "about 3 min to go"
