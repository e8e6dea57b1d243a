"""tests/scale.py: steps in a row do not get faster with workers, steps beside each other do."""

from __future__ import annotations

import pytest

from tests.scale import HERE, OVER, Work


@pytest.mark.parametrize(
    ("before", "workers", "seconds"),
    [
        ({"p:b": ["p:a"], "p:c": ["p:b"]}, 8, 3 * (30 + OVER)),
        ({}, 1, 3 * (30 + OVER)),
        ({}, 2, 2 * (30 + OVER)),
        ({}, 8, 30 + OVER),
        ({"p:c": ["p:a", "p:b"]}, 8, 2 * (30 + OVER)),
    ],
)
def test_the_minutes_of_a_plan(before: dict[str, list[str]], workers: int, seconds: float) -> None:
    work = Work({"p:a": 60.0, "p:b": 60.0, "p:c": 60.0}, before)
    assert work.minutes(workers, 2, by_file=False) == pytest.approx(seconds / 60)


def test_the_files_of_the_largest_go_to_all_cores() -> None:
    work = Work({"p:llvm": 6000.0}, {})
    assert work.minutes(10, 2, by_file=False) == pytest.approx((3000 + OVER) / 60)
    assert work.minutes(4, 2, by_file=True) == pytest.approx((750 + OVER) / 60)
    here = 2971 * HERE / 2
    assert work.minutes(100, 2, by_file=True) == pytest.approx((here + OVER) / 60)
