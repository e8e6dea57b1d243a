"""What `doit list` shows: the stages of a build in their order, and the packages, as they stand.

    doit list                        the stages, then all other tasks
    doit list pkg                    the packages of the last phase, or of all: doit list pkg --all
    doit list sysroot-from-seed      those of that phase

With any option of its own, doit's list is shown instead (tasks/hooks.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cache.sources import cached
from plan.errors import BuildError
from tasks.console import in_words
from tasks.outlook import STATES, Past, survey, tally, tally_in_words
from tasks.products import Product, image, sysroot
from tasks.project import project


def stages(tasks: Mapping[str, Any]) -> Iterator[str]:
    """The stages with their states, then the rest of `tasks` (doit's, by name)."""
    plan, found = project.plan, survey(project)
    yield f"set {plan.set.name}, {plan.arch.name}; its stages, in their order:"
    told = {"fetch": _sources(), "seed": _seed()}
    told |= {phase: tally_in_words(tally(found.values(), phase)) for phase in plan.phases}
    told |= {"sysroot": _product(sysroot), "image": _product(image)}
    rest = sorted(name for name in tasks if name not in told and ":" not in name)
    width = max(map(len, [*told, *rest]))
    for name, state in told.items():
        yield f"  {name:<{width}}  {state:<25}  {tasks[name].doc}"
    yield "and besides:"
    for name in rest:
        yield f"  {name:<{width}}  {tasks[name].doc}"


def packages(phase: str | None) -> Iterator[str]:
    """The packages with version, phase, state, size and time; of `phase` alone if it is given."""
    past = Past(project.store)
    yield f"{'package':<16} {'version':<10} {'phase':<20} {'state':<13} {'size':>9} {'time':>10}"
    for each in survey(project).values():
        step = each.step
        if phase in (None, step.phase):
            size = f"{each.size / 1e6:.1f} MB" if each.artifact else ""
            record = past.of(each)
            time = in_words(record.seconds) if record else ""
            yield (
                f"{step.name:<16} {step.version:<10} {step.phase:<20} {STATES[each.state]:<13} "
                f"{size:>9} {time:>10}"
            )
    if project.plan.set.root:
        for name in project.plan.outside:
            yield f"{name:<16} not in the set: {project.plan.recipes[name].why}"


def _sources() -> str:
    try:
        sources = [*project.plan.sources, *project.seed.sources]
    except BuildError:
        sources = project.plan.sources
    have = sum(cached(source) is not None for source in sources)
    return f"{have} of {len(sources)} files are here"


def _seed() -> str:
    try:
        seed = project.seed
        return f"{seed.name}, {'stands' if seed.tree.exists() else 'to be unpacked'}"
    except BuildError as error:
        return error.message


def _product(product: Product) -> str:
    if not product.file.exists():
        return "not made"
    try:
        return "stands" if product.stands() else "made of other things than now"
    except BuildError:
        return "there"
