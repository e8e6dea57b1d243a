"""How long steps take together."""

from __future__ import annotations

import pytest

from tasks.engine.schedule import alone, duration

DIAMOND = {"left": ["bottom"], "right": ["bottom"], "top": ["left", "right"]}


@pytest.mark.parametrize(
    ("walls", "jobs", "seconds"),
    [
        ({"bottom": 3, "left": 4, "right": 5, "top": 2}, 4, 10),
        ({"bottom": 3, "left": 4, "right": 5, "top": 2}, 1, 14),
        ({"left": 4, "right": 5, "top": 2}, 2, 7),  # bottom has ended
        ({"bottom": 0, "left": 0, "right": 0, "top": 0}, 2, 0),
        ({}, 2, 0),
    ],
)
def test_steps_wait_for_those_before_them(
    walls: dict[str, float], jobs: int, seconds: float
) -> None:
    assert duration(walls, {}, DIAMOND, jobs) == seconds


def test_the_processors_set_a_limit() -> None:
    assert duration({"a": 3, "b": 3}, {"a": 12, "b": 12}, {}, 4) == 6
    assert duration({"a": 3, "b": 3}, {"a": 12, "b": 12}, {}, 2) == 12


def test_a_circle_ends() -> None:
    assert duration({"a": 3, "b": 3}, {}, {"a": ["b"], "b": ["a"]}, 4) == 6


@pytest.mark.parametrize(
    ("cost", "took", "seconds"),
    [
        (80, 50, 50),
        (80, 360, 80),  # the machine had other work
        (80, None, 40),
        (80, 20, 40),  # with more jobs than now
    ],
)
def test_other_work_of_the_machine_last_time_does_not_count(
    cost: float, took: float | None, seconds: float
) -> None:
    assert alone(cost, took, jobs=2) == seconds
