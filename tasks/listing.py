"""The output of `doit list`: the stages of a build in order, and the packages, with states.

    doit list                        the stages, then all other tasks
    doit list pkg                    the packages of the last phase; all phases: doit list pkg --all
    doit list sysroot-from-seed      the packages of that phase

If an option of doit's own list is given, doit's list is shown (tasks/doit_extensions.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cache.sources import cached
from plan.errors import BuildError
from tasks.engine.duration import in_words
from tasks.engine.plan_files import is_written
from tasks.engine.products import Product, image, sysroot
from tasks.engine.project import Project
from tasks.engine.survey import STATES, Past, survey, tally, tally_in_words
from tasks.engine.trees import source_trees


def stages(project: Project, tasks: Mapping[str, Any]) -> Iterator[str]:
    """The stages with their states, then the rest of `tasks` (doit's, by name)."""
    plan, found = project.plan, survey(project)
    yield f"set {plan.set.name}, {plan.arch.name}; the stages in order:"
    told = {"fetch": _sources(project), "seed": _seed(project)}
    told |= {"stage": _unpacked(project), "plan": _plan(project)}
    told |= {phase: tally_in_words(tally(found.values(), phase)) for phase in plan.phases}
    told |= {"sysroot": _product(sysroot(project)), "image": _product(image(project))}
    rest = sorted(name for name in tasks if name not in told and ":" not in name)
    width = max(map(len, [*told, *rest]))
    for name, state in told.items():
        yield f"  {name:<{width}}  {state:<25}  {tasks[name].doc}"
    yield "other tasks:"
    for name in rest:
        yield f"  {name:<{width}}  {tasks[name].doc}"


def packages(project: Project, phase: str | None) -> Iterator[str]:
    """The packages with version, phase, state, size and time; only of `phase` if it is given."""
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
            yield f"{name:<16} not in the set: {project.plan.recipes[name].description}"


def _sources(project: Project) -> str:
    try:
        sources = [*project.plan.sources, *project.seed.sources]
    except BuildError:
        sources = project.plan.sources
    have = sum(cached(source, project.cache) is not None for source in sources)
    return f"{have} of {len(sources)} files are in the cache"


def _seed(project: Project) -> str:
    try:
        seed = project.seed
        return f"{seed.name}, {'unpacked' if seed.tree.exists() else 'to be unpacked'}"
    except BuildError as error:
        return error.message


def _unpacked(project: Project) -> str:
    trees = source_trees(project)
    return f"{sum(tree.exists() for tree in trees)} of {len(trees)} unpacked"


def _plan(project: Project) -> str:
    try:
        return "written" if is_written(project) else "to be written"
    except BuildError as error:
        return error.message


def _product(product: Product) -> str:
    if not product.file.exists():
        return "not made"
    try:
        return "up to date" if product.is_up_to_date() else "out of date"
    except BuildError:
        return "there"
