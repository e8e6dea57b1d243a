"""The remaining time of a run, counted down each second.

forecast ──▶ costs, last durations ─┐
running steps, Ninja's counts ──────┴──▶ seconds left; which steps are late
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from tasks.engine.records.duration import in_words
from tasks.engine.records.watch import Pace, Running
from tasks.engine.schedule import alone, duration

if TYPE_CHECKING:
    from tasks.engine.records.events import Event

LATE = "longer than last time"
# A step is late if it takes this share, and these seconds, longer than last time.
SHARE, SECONDS = 0.1, 2


class Countdown:
    """The steps that have not ended. `before`: the steps that each step waits for."""

    def __init__(self, before: Mapping[str, Collection[str]], jobs: int) -> None:
        self.before, self.jobs = before, jobs
        self.all = 0
        self.costs: dict[str, float] = {}
        """Processor seconds of each step that has not ended, in build order."""
        self.took: Mapping[str, float] = {}
        """The seconds that a step took last time, as far as they are known."""
        self.paces: dict[str, Pace] = {}

    def expect(self, forecast: Event) -> None:
        """Begin with this event."""
        self.all = len(forecast["build"])
        self.costs, self.took = dict(forecast["costs"]), forecast["took"]

    def ended(self, step: str) -> None:
        """Forget `step`: it has been built, or is not built after all."""
        self.costs.pop(step, None)

    def is_late(self, step: str, running: Mapping[str, Running], now: float) -> bool:
        """Whether `step` takes longer than last time; unknown if Ninja says how far it is."""
        if step not in self.took or running[step].steps:
            return False
        usual = max(self.took[step], self._wall(step, len(running)))
        return now - running[step].since > usual * (1 + SHARE) + SECONDS

    def pace(self, step: str, running: Running, now: float) -> float | None:
        """The seconds that Ninja still needs for `step`, if that is known."""
        if not running.steps:
            return None
        return self.paces.setdefault(step, Pace()).left(*running.steps, now)

    def words(self, running: Mapping[str, Running], now: float) -> str:
        """The remaining time: "about 12 min to go", or what is known of it."""
        left, over = self.left(running, now)
        late = any(self.is_late(step, running, now) for step in running)
        if over and left < 1:
            return LATE if late else "longer than expected"
        return f"{'at least' if over else 'about'} {in_words(left)} to go"

    def left(self, running: Mapping[str, Running], now: float) -> tuple[float, bool]:
        """The seconds left, and whether a running step has used up its time."""
        walls, costs, over = {}, {}, False
        # What runs is first: it holds its place until it ends.
        for step in sorted(self.costs, key=lambda step: step not in running):
            cost, each = self.costs[step], running.get(step)
            wall = self._wall(step, len(running) if each else 1)
            share = self._share(each, wall, now) if each else 0.0
            pace = self.pace(step, each, now) if each else None
            walls[step] = wall * (1 - share) if pace is None else pace
            costs[step] = cost * (1 - share)
            over = over or share >= 1
        return duration(walls, costs, self.before, self.jobs), over

    def _wall(self, step: str, together: int) -> float:
        """The seconds that `step` takes beside others, if `together` share the processors."""
        cost = self.costs.get(step, 0.0)
        return max(alone(cost, self.took.get(step), self.jobs), cost * together / self.jobs)

    def _share(self, running: Running, wall: float, now: float) -> float:
        """The done share of a running step, from 0 to 1."""
        if running.steps:
            return running.steps[0] / max(*running.steps, 1)
        return min((now - running.since) / max(wall, 0.1), 1.0)
