"""How each step of the plan stands, and what a run would do, without doing anything.

    stamps, store ──in build order──▶ stands | stored | build, per step ──▶ what is to be built,
                                                                            and about how long

A step after one that is to be built may still come out as it stands, if that gives the bytes it
gave before: "build" says what can happen at most.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cache.store import Record, Store
from plan.identity import step_id
from plan.model import Step
from tasks.builder import Builder
from tasks.project import Project

STANDS, STORED, BUILD = "stands", "stored", "build"
STATES = {STANDS: "stands", STORED: "in the store", BUILD: "to build"}


@dataclass(frozen=True)
class Standing:
    """How one step stands. `artifact` is known unless it is to be built."""

    step: Step
    id: str | None
    """The step id, known unless what comes before it is to be built."""
    state: str
    artifact: str | None
    size: int
    """Of the artifact, in bytes."""


def survey(project: Project) -> dict[str, Standing]:
    """How each step of the plan stands, by the names of their tasks, in build order."""
    found: dict[str, Standing] = {}
    made: dict[str, str] = {}
    for step in project.plan.steps:
        standing = _standing(Builder(project, step), made)
        if standing.artifact:
            made[step.task] = standing.artifact
        found[step.task] = standing
    return found


def _standing(builder: Builder, made: Mapping[str, str]) -> Standing:
    step = builder.step
    inputs = None if builder.stamp.forgotten.exists() else builder.inputs(made)
    if inputs is None:
        return Standing(step, None, BUILD, None, 0)
    wanted = step_id(inputs)
    store = builder.project.store
    if store.contradicting(wanted):
        return Standing(step, wanted, BUILD, None, 0)
    record = store.find(wanted)
    if stamp := builder.stamp.read_of(wanted, record):
        return Standing(step, wanted, STANDS, stamp["artifact"], stamp["size"])
    if record:
        return Standing(step, wanted, STORED, record.artifact, record.size)
    return Standing(step, wanted, BUILD, None, 0)


class Past:
    """What this machine's store remembers of the steps that it ran whole."""

    def __init__(self, store: Store) -> None:
        records = [record for record in store.records() if not record.resumed]
        self._exact = {record.step: record for record in records}
        self.latest = {(record.phase, record.name): record for record in records}

    def of(self, standing: Standing) -> Record | None:
        """The record of just this step; if there is none, that of the package's latest."""
        step = standing.step
        return self._exact.get(standing.id or "") or self.latest.get((step.phase, step.name))


class Costs:
    """What steps cost: as this machine's store remembers, or by the shipped table.

    The table (plan/costs.yaml) holds the processor time of each package in units of musl's, so
    that one measurement here, of musl, makes it this machine's.
    """

    def __init__(self, project: Project) -> None:
        from plan.yamlfile import load

        self.past = Past(project.store)
        table = load(project.data / "costs.yaml", shown_as="plan/costs.yaml")
        self.seconds_of_musl = self._musl(float(table["seconds-of-musl"]))
        self.relative = {name: float(value) for name, value in table["packages"].items()}

    def _musl(self, shipped: float) -> float:
        measured = [r.cpu for (_, name), r in self.past.latest.items() if name == "musl"]
        return max(measured, default=shipped)

    def of(self, standing: Standing) -> float:
        """The processor time (seconds) that a step will take, as far as anything is known."""
        step, record = standing.step, self.past.of(standing)
        if record:
            return record.cpu
        return self.relative.get(step.name, 1.0) * self.seconds_of_musl


def ahead(project: Project, standings: Collection[Standing]) -> dict[str, Any]:
    """What a run of these steps will build at most: the facts of the event "forecast"."""
    build = of_state(standings, BUILD)
    costs = Costs(project) if build else None
    seconds = {each.step.task: round(costs.of(each), 1) for each in build} if costs else {}
    return {
        "build": [each.step.task for each in build],
        "store": [each.step.task for each in of_state(standings, STORED)],
        "costs": seconds,
        "seconds": round(sum(seconds.values()) / project.settings.jobs, 1),
    }


def tally(standings: Iterable[Standing], phase: str) -> dict[str, int]:
    """How many steps of `phase` are in each state."""
    states = [each.state for each in standings if each.step.phase == phase]
    return {state: states.count(state) for state in (STANDS, STORED, BUILD)}


def tally_in_words(counts: Mapping[str, int]) -> str:
    """Such counts for people: "38 of 41 stand, 3 to build"."""
    rest = [f"{counts[state]} {STATES[state]}" for state in (STORED, BUILD) if counts[state]]
    return ", ".join([f"{counts[STANDS]} of {sum(counts.values())} stand", *rest])


def of_state(standings: Iterable[Standing], state: str) -> list[Standing]:
    """Those of `standings` that are in `state`."""
    return [each for each in standings if each.state == state]
