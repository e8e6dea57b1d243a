"""How long `set=full` takes on many machines, from the records of this machine's store.

    .venv/bin/python -m tests.scale seed=alpine cores=2

    records ──▶ seconds of each step ──┐
    the plan ──▶ what waits for what ──┴─▶ minutes with 1, 2, 4 … workers

It prints the table of docs/scale.md. A worker is a machine with `cores`, and has one step at a
time, which keeps all its cores busy. So the figures are the least that is possible: a real step
also configures and links, which keeps one core busy.
"""

from __future__ import annotations

import heapq
import os
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from tasks.engine.project import Project, open_project
from tasks.engine.survey import Costs, survey

WORKERS = (1, 2, 4, 8, 16, 32, 64)
OVER = 3.0  # seconds of a step on a worker beside the build itself
FILES = {"llvm": 2971, "cmake": 741}  # what objects= spreads, and its files
HERE = 0.25  # seconds of processor time on this machine for each file


@dataclass(frozen=True)
class Work:
    """The processor seconds of each step, in build order, and the steps that it waits for."""

    costs: Mapping[str, float]
    before: Mapping[str, Collection[str]]

    def minutes(self, workers: int, cores: int, *, by_file: bool) -> float:
        """Until all is built; by_file: the files of the largest packages go to all cores."""
        walls = {task: cost / cores + OVER for task, cost in self.costs.items()}
        for task in walls if by_file else ():
            if files := FILES.get(task.partition(":")[2]):
                spread = self.costs[task] / (workers * cores)
                walls[task] = max(spread, files * HERE / cores) + OVER
        return max(self._last_end(walls, workers), sum(self.costs.values()) / workers / cores) / 60

    def _last_end(self, walls: Mapping[str, float], workers: int) -> float:
        """When the last step ends; of those that are ready, the longest chain starts first."""
        chain = self._chains(walls)
        left = {task: len(set(self.before.get(task, ())) & walls.keys()) for task in walls}
        ready = [(-chain[task], task) for task in walls if not left[task]]
        heapq.heapify(ready)
        running: list[tuple[float, str]] = []
        now = 0.0
        while ready or running:
            while ready and len(running) < workers:
                task = heapq.heappop(ready)[1]
                heapq.heappush(running, (now + walls[task], task))
            now, ended = heapq.heappop(running)
            for task in walls:
                if ended in self.before.get(task, ()):
                    left[task] -= 1
                    if not left[task]:
                        heapq.heappush(ready, (-chain[task], task))
        return now

    def _chains(self, walls: Mapping[str, float]) -> dict[str, float]:
        """The seconds from the start of each step to the end, if there were workers enough."""
        chain: dict[str, float] = {}
        for task in reversed(walls):
            after = [chain[each] for each in chain if task in self.before.get(each, ())]
            chain[task] = walls[task] + max(after, default=0.0)
        return chain


def work_of(project: Project) -> Work:
    """The steps of the plan with what they cost here, or what plan/costs.yaml says."""
    costs = Costs(project)
    found = {task: costs.of(state) for task, state in survey(project).items()}
    return Work(found, {task: set(names) for task, names in project.plan.waits.items()})


def main(words: list[str]) -> int:
    given = dict(word.split("=", 1) for word in ["set=full", *words])
    cores = int(given.pop("cores", "2"))
    work = work_of(open_project(given, os.environ))
    total = sum(work.costs.values())
    print(f"{len(work.costs)} steps, {total:.0f} CPU-s; workers of {cores} cores; minutes\n")
    print("| workers | steps on workers | and LLVM by the file |\n|---|---|---|")
    for workers in WORKERS:
        steps = work.minutes(workers, cores, by_file=False)
        files = work.minutes(workers, cores, by_file=True)
        print(f"| {workers} | {steps:.0f} | {files:.0f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
