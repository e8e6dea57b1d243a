"""The state of each step of the plan, and what a run would do. It changes nothing.

    stamps, store ──in build order──▶ up to date | stored | build, per step ──▶ the steps to build,
                                                                              and the time

A step after one in the state "build" may still be up to date, if the rebuilt bytes are the same:
"build" says what can happen at most.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cache.store import Record, Store
from plan.model import Step
from plan.steps.identity import step_id
from plan.steps.plan import Plan
from tasks.engine.builder import Builder
from tasks.engine.project import Project
from tasks.engine.schedule import alone, duration

UP_TO_DATE, STORED, BUILD = "up_to_date", "stored", "build"
# Builds of a step gave different bytes (records/contradiction.py); other steps depend on it.
CONTRADICTED, WAITING = "contradicted", "waiting"
STATES = {
    UP_TO_DATE: "up to date",
    STORED: "in the store",
    BUILD: "to build",
    CONTRADICTED: "contradicted",
    WAITING: "waiting for a choice",
}


@dataclass(frozen=True)
class StepState:
    """The state of one step. `artifact` is known if the step is here."""

    step: Step
    id: str | None
    """The step id; known unless a dependency must be built."""
    state: str
    artifact: str | None
    size: int
    """The size of the artifact, in bytes."""

    @property
    def is_here(self) -> bool:
        """Whether the artifact is here, or in the store."""
        return self.state in (UP_TO_DATE, STORED)

    @property
    def is_blocked(self) -> bool:
        """Whether a person must choose an artifact before the step can be built."""
        return self.state in (CONTRADICTED, WAITING)


def survey(project: Project) -> dict[str, StepState]:
    """The state of each step of the plan, by the names of their tasks, in build order."""
    found: dict[str, StepState] = {}
    made: dict[str, str] = {}
    for step in project.plan.steps:
        blocked = any(found[each.task].is_blocked for each in project.plan.before(step))
        state = _state_of(Builder(project, step), made, blocked)
        if state.artifact:
            made[step.task] = state.artifact
        found[step.task] = state
    return found


def _state_of(builder: Builder, made: Mapping[str, str], blocked: bool) -> StepState:
    step = builder.step
    if blocked:
        return StepState(step, None, WAITING, None, 0)
    inputs = None if builder.stamp.forgotten.exists() else builder.inputs(made)
    if inputs is None:
        return StepState(step, None, BUILD, None, 0)
    wanted = step_id(inputs)
    store = builder.project.store
    if store.contradicting(wanted):
        return StepState(step, wanted, CONTRADICTED, None, 0)
    record = store.find(wanted)
    if current := builder.stamp.read_of(wanted, record):
        return StepState(step, wanted, UP_TO_DATE, current.artifact, current.size)
    if record:
        return StepState(step, wanted, STORED, record.artifact, record.size)
    return StepState(step, wanted, BUILD, None, 0)


class Past:
    """The store's records of complete builds on this machine."""

    def __init__(self, store: Store) -> None:
        records = [each for each in store.records() if not each.resumed and not each.origin]
        self._exact = {record.step: record for record in records}
        self.latest = {(record.phase, record.name): record for record in records}

    def of(self, state: StepState) -> Record | None:
        """The record of exactly this step; if there is none, the package's latest."""
        step = state.step
        return self._exact.get(state.id or "") or self.latest.get((step.phase, step.name))


class Costs:
    """The costs of steps, from the store's records or from the shipped table.

    The table (plan/costs.yaml) has the processor time of each package in units of the time of
    one of them. So one measurement of that package on this machine is enough to use it.
    """

    def __init__(self, project: Project) -> None:
        self.past = Past(project.store)
        self.needs = needs = project.needs
        measured = [r.cpu for (_, name), r in self.past.latest.items() if name == needs.unit]
        self.seconds_of_unit = max(measured, default=needs.whole["seconds"])

    def of(self, state: StepState) -> float:
        """The processor time (seconds) that a step will take, as far as it is known."""
        step, record = state.step, self.past.of(state)
        if record:
            return record.cpu
        return self.needs.of(step.name, "cpu") * self.seconds_of_unit


def ahead(project: Project, states: Collection[StepState]) -> dict[str, Any]:
    """What a run of these steps will build at most: the data of the event "forecast".

    Contradicted steps, and those that wait for them, are not built.
    """
    build = of_state(states, BUILD)
    costs = Costs(project) if build else None
    cpu = {each.step.task: round(costs.of(each), 1) for each in build} if costs else {}
    past = {each.step.task: costs.past.of(each) for each in build} if costs else {}
    took = {task: record.seconds for task, record in past.items() if record}
    jobs = project.settings.jobs
    walls = {task: alone(cost, took.get(task), jobs) for task, cost in cpu.items()}
    return {
        "build": [each.step.task for each in build],
        "store": [each.step.task for each in of_state(states, STORED)],
        "contradicted": [each.step.task for each in of_state(states, CONTRADICTED)],
        "waiting": [each.step.task for each in of_state(states, WAITING)],
        "costs": cpu,
        "took": took,
        "seconds": round(duration(walls, cpu, project.plan.waits, jobs), 1),
    }


def tally(states: Iterable[StepState], phase: str) -> dict[str, int]:
    """The number of steps of `phase` in each state."""
    found = [each.state for each in states if each.step.phase == phase]
    return {state: found.count(state) for state in STATES}


def told_plan(plan: Plan) -> str:
    """What is built, in a few words: "set base, x86_64, layer mine"."""
    return ", ".join(
        [
            f"set {plan.set.name}",
            plan.arch.name,
            *(f"layer {each.name}" for each in plan.layers),
            *([f"app {plan.app}"] if plan.app else []),
        ]
    )


def tally_in_words(counts: Mapping[str, int]) -> str:
    """The counts for people: "38 of 41 up to date, 3 to build"."""
    here = f"{counts[UP_TO_DATE]} of {sum(counts.values())} up to date"
    rest = {state: number for state, number in counts.items() if number and state != UP_TO_DATE}
    return ", ".join([here, *(f"{number} {STATES[state]}" for state, number in rest.items())])


def of_state(states: Iterable[StepState], state: str) -> list[StepState]:
    """The `states` that are in `state`."""
    return [each for each in states if each.state == state]
