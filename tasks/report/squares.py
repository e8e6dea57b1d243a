"""The tiles of a treemap, nearly square: the squarified layout.

M. Bruls, K. Huizing, J. van Wijk: Squarified Treemaps (2000). The tiles fill the whole area without
overlaps, and the area of each is proportional to its value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """A rectangle: its upper left corner and its size."""

    x: float
    y: float
    width: float
    height: float


def squarified(values: Sequence[float], area: Box) -> list[Box]:
    """A box for each of `values`, which are positive and sorted in descending order."""
    found: list[Box] = []
    total = sum(values)
    rest, scale = area, area.width * area.height / total if total else 0.0
    waiting = [value * scale for value in values]
    while waiting:
        number = _row(waiting, min(rest.width, rest.height))
        boxes, rest = _laid(waiting[:number], rest)
        found += boxes
        waiting = waiting[number:]
    return found


def _row(areas: Sequence[float], side: float) -> int:
    """How many of `areas` give the best row along `side`."""
    number, worst = 1, _worst(areas[:1], side)
    while number < len(areas) and _worst(areas[: number + 1], side) <= worst:
        number += 1
        worst = _worst(areas[:number], side)
    return number


def _worst(areas: Sequence[float], side: float) -> float:
    """The worst aspect ratio of the boxes if `areas` form a row along `side`."""
    depth = sum(areas) / side
    return max(max(depth * depth / area, area / (depth * depth)) for area in areas)


def _laid(areas: Sequence[float], rest: Box) -> tuple[list[Box], Box]:
    """The boxes of `areas` along the shorter side of `rest`, and the remaining area."""
    upright = rest.width >= rest.height
    depth = sum(areas) / (rest.height if upright else rest.width)
    boxes, along = [], 0.0
    for area in areas:
        length = area / depth
        boxes.append(
            Box(rest.x, rest.y + along, depth, length)
            if upright
            else Box(rest.x + along, rest.y, length, depth)
        )
        along += length
    if upright:
        return boxes, Box(rest.x + depth, rest.y, rest.width - depth, rest.height)
    return boxes, Box(rest.x, rest.y + depth, rest.width, rest.height - depth)
