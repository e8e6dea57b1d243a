"""The output of `doit list`: the parts of a build in order, and the packages, with states.

    doit list                        the parts of a build, then the commands by purpose
    doit list pkg                    the packages, by phase
    doit list sysroot-from-seed      the packages of that phase

If an option of doit's own list is given, doit's list is shown (tasks/doit_extensions.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from cache.sources import cached
from plan.errors import BuildError
from tasks import commands
from tasks.console.console import toned
from tasks.console.table import table
from tasks.engine.plan_files import is_written
from tasks.engine.products.products import Product
from tasks.engine.project import Project
from tasks.engine.records.duration import in_words
from tasks.engine.survey import STATES, Past, survey, tally, tally_in_words, told_plan
from tasks.engine.trees import source_trees
from tasks.products import PRODUCTS


def parts(project: Project) -> Iterator[str]:
    """The parts of a build with their states, then the commands by purpose."""
    plan, found = project.plan, survey(project)
    yield toned(f"{told_plan(plan)}; the parts of a build in order:", "name")
    told = {"fetch": _sources(project), "seed": _seed(project)}
    told |= {"stage": _unpacked(project), "plan": _plan(project)}
    told |= {phase: tally_in_words(tally(found.values(), phase)) for phase in plan.phases}
    told |= {name: _product(product(project)) for name, product in PRODUCTS.items()}
    yield from table([*told.items()], indent="  ")
    docs = commands.summaries()
    width = max(map(len, docs))
    for purpose, names in commands.PURPOSES.items():
        yield toned(f"{purpose}:", "name")
        yield from table([(f"{name:<{width}}", docs[name]) for name in names], indent="  ")


def packages(project: Project, phase: str | None) -> Iterator[str]:
    """The packages by phase, with version, state, size and time; only of `phase` if it is given."""
    past, found = Past(project.store), survey(project).values()
    rows: dict[str, list[list[str]]] = {}
    for each in found:
        step, record = each.step, past.of(each)
        size = f"{each.size / 1e6:.1f} MB" if each.artifact else ""
        time = in_words(record.seconds) if record else ""
        layer = project.plan.layered.get(step.name)
        row = [step.name, step.version, STATES[each.state], f"{size:>9}", f"{time:>10}"]
        row += [layer.name if layer else ""] if project.plan.layers else []
        rows.setdefault(step.phase, []).append(row)
    for name in [phase] if phase else rows:
        yield toned(f"{name}:", "name")
        heads = ["package", "version", "state", f"{'size':>9}", f"{'time':>10}"]
        heads += ["layer"] if project.plan.layers else []
        yield from table([heads, *rows[name]], indent="  ")
    if project.plan.set.root:
        outside = [(each, project.plan.recipes[each].description) for each in project.plan.outside]
        yield toned("not in the set:", "name")
        yield from table(outside, indent="  ")


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
