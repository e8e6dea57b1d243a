"""The layout of the treemap: it fills the area, each tile has its share, and none overlap."""

from __future__ import annotations

import random
from itertools import combinations

import pytest

from tasks.report.squares import Box, squarified

VALUES = {
    "none": [],
    "one": [3.0],
    "equal": [1.0] * 7,
    "the paper's": [6.0, 6.0, 4.0, 3.0, 2.0, 2.0, 1.0],
    "far apart": [152_000_000.0, 30_000_000.0, 4_000_000.0, 512.0, 1.0],
    **{
        f"random {seed}": sorted(
            (random.Random(seed * 100 + n).uniform(1, 1e6) for n in range(seed * 7)), reverse=True
        )
        for seed in range(1, 7)
    },
}
AREAS = [Box(0, 0, 1140, 440), Box(10, 20, 328, 480), Box(0, 0, 5, 5)]


@pytest.mark.parametrize("area", AREAS, ids=str)
@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_tiles_fill_the_area_and_do_not_overlap(values: list[float], area: Box) -> None:
    boxes = squarified(values, area)
    assert len(boxes) == len(values)
    whole, slack = area.width * area.height, 1e-6
    for value, box in zip(values, boxes, strict=True):
        assert box.width * box.height == pytest.approx(whole * value / sum(values))
        assert area.x - slack <= box.x and box.x + box.width <= area.x + area.width + slack
        assert area.y - slack <= box.y and box.y + box.height <= area.y + area.height + slack
    for one, other in combinations(boxes, 2):
        across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
        down = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
        assert across <= slack or down <= slack


def test_tiles_are_as_in_the_paper() -> None:
    boxes = squarified(VALUES["the paper's"], Box(0, 0, 6, 4))
    assert [(box.width, box.height) for box in boxes[:2]] == [(3, 2), (3, 2)]
    assert max(max(b.width / b.height, b.height / b.width) for b in boxes) < 2.8
