"""The lanes and the axis of a timeline: no overlaps, and as few lanes as possible."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from tasks.report.facts import Bar

STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800)  # seconds
HOURS = tuple(3600 * n for n in (1, 2, 3, 6, 12, 24))


def packed(bars: Sequence[Bar]) -> list[int]:
    """The lane of each of `bars`: the lowest that is free at its start."""
    lanes: dict[int, int] = {}
    free: list[int] = []
    busy: list[tuple[float, int]] = []  # end time, lane
    for n in sorted(range(len(bars)), key=lambda n: (bars[n].start, bars[n].end)):
        while busy and busy[0][0] <= bars[n].start:
            heapq.heappush(free, heapq.heappop(busy)[1])
        lane = heapq.heappop(free) if free else len(busy)
        lanes[n] = lane
        heapq.heappush(busy, (bars[n].end, lane))
    return [lanes[n] for n in range(len(bars))]


def ticks(seconds: float, most: int) -> list[int]:
    """Round, evenly spaced moments from 0 to `seconds`; at most `most` after the first."""
    for step in (*STEPS, *HOURS):
        if seconds / step <= most:
            break
    else:
        step = HOURS[-1] * (int(seconds / HOURS[-1] / most) + 1)
    return list(range(0, int(seconds) + 1, step))


def label(moment: int) -> str:
    """The label of a moment on the axis: "0", "30 s", "5 min", "1:30 h"."""
    if moment == 0:
        return "0"
    if moment < 60 or moment % 60:
        return f"{moment} s" if moment < 120 else f"{moment // 60}:{moment % 60:02} min"
    minutes = moment // 60
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02} h"
