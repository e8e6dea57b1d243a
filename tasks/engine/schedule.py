"""How long steps take together: as many at once as a run starts, each after its dependencies."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping

from plan.settings.settings import STEPS_HERE


def alone(cost: float, took: float | None, jobs: int) -> float:
    """The seconds of a step that has the machine to itself. cost: its processor seconds; took: how
    long it took last time, perhaps beside other work. It keeps one processor busy, or more.
    """
    least = cost / jobs
    return least if took is None else max(least, min(took, cost))


def duration(
    walls: Mapping[str, float],
    costs: Mapping[str, float],
    before: Mapping[str, Collection[str]],
    jobs: int,
) -> float:
    """The seconds until all steps are done, if each starts as early as it can.

    `walls`: the seconds of each step by itself, in build order; `costs`: its processor seconds;
    `before`: the steps that it waits for. It cannot be shorter than the processor time allows.
    """
    return max(_last_end(walls, before, min(jobs, STEPS_HERE)), sum(costs.values()) / jobs)


def _last_end(
    walls: Mapping[str, float], before: Mapping[str, Collection[str]], at_once: int
) -> float:
    waiting, left = list(walls), set(walls)
    running: list[tuple[float, str]] = []  # end, step
    now = 0.0
    while waiting or running:
        for step in [each for each in waiting if left.isdisjoint(before.get(each, ()))]:
            if len(running) < at_once:
                waiting.remove(step)
                heapq.heappush(running, (now + walls[step], step))
        if not running:  # steps that wait for each other: no plan has them
            return now + sum(walls[step] for step in waiting)
        now, ended = heapq.heappop(running)
        left.remove(ended)
    return now
