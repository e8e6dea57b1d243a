"""The timeline's lanes and axis."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from tasks.report.facts import BUILT, Bar
from tasks.report.lanes import label, packed, ticks


def bars(*spans: tuple[float, float]) -> list[Bar]:
    return [Bar(f"phase:n{n}", start, end, BUILT) for n, (start, end) in enumerate(spans)]


def at_random(seed: int) -> list[Bar]:
    choose = random.Random(seed)
    starts = [choose.uniform(0, 100) for _ in range(seed * 9)]
    return bars(*((start, start + choose.expovariate(0.1)) for start in starts))


@pytest.mark.parametrize(
    ("given", "lanes"),
    [
        (bars(), []),
        (bars((0, 5)), [0]),
        (bars((0, 5), (5, 9)), [0, 0]),
        (bars((0, 5), (4, 9)), [0, 1]),
        (bars((4, 9), (0, 5), (5, 6)), [1, 0, 0]),
        (bars((3, 3), (3, 3)), [0, 0]),
    ],
)
def test_lanes(given: list[Bar], lanes: list[int]) -> None:
    assert packed(given) == lanes


@pytest.mark.parametrize("seed", range(1, 8))
def test_nothing_overlaps_in_as_few_lanes_as_can_be(seed: int) -> None:
    given = at_random(seed)
    lanes = packed(given)
    for lane in {*lanes}:
        own = [bar for bar, each in zip(given, lanes, strict=True) if each == lane]
        own.sort(key=lambda bar: bar.start)
        assert all(a.end <= b.start for a, b in pairwise(own))
    at_once = max(sum(1 for b in given if b.start <= bar.start < b.end) for bar in given)
    assert max(lanes) + 1 == at_once


@pytest.mark.parametrize("seconds", [0.0, 0.4, 1, 9.99, 60, 61, 3000, 10_800, 200_000, 10_000_000])
def test_ticks_are_round_even_and_few(seconds: float) -> None:
    found = ticks(seconds, 10)
    assert found[0] == 0 and found[-1] <= seconds and len(found) <= 11
    assert len({b - a for a, b in pairwise(found)}) <= 1
    assert len({label(moment) for moment in found}) == len(found)


@pytest.mark.parametrize(
    ("moment", "text"),
    [(0, "0"), (5, "5 s"), (90, "90 s"), (150, "2:30 min"), (300, "5 min"), (5400, "1:30 h")],
)
def test_labels(moment: int, text: str) -> None:
    assert label(moment) == text
