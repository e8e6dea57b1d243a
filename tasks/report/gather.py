"""Gathers the report's data from what the project already knows; it measures nothing.

The states are those of `doit status`. The cost of a step is in the store's record of the build that
made the artifact, on any machine.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cache.store import Record
from plan.documents.sbom import product_name
from plan.outputs import write_file
from plan.steps import identity
from rootfs.archives.files import file_sha256
from tasks.engine import failures
from tasks.engine.builder import Builder
from tasks.engine.products.shares import Share, shares
from tasks.engine.project import Project
from tasks.engine.records.events import read
from tasks.engine.survey import UP_TO_DATE, StepState, ahead, survey
from tasks.report import snapshots
from tasks.report.facts import Facts, ProductFacts, StepFacts
from tasks.report.figures import count
from tasks.report.history import built_something, history
from tasks.status import told_next

RUNS = 3  # timelines in a report


def gather(project: Project) -> Facts:
    """The data of a report on this work directory. It also stores a snapshot for the next report.

    Raises BuildError if the seed's data are invalid.
    """
    found = survey(project)
    steps = tuple(_steps(project, found))
    products = tuple(_products(project, steps))
    events, broken = read(project.events.path)
    runs = history(events, project.settings.set, project.settings.arch, project.lock.holder())
    now, directory = time.time(), project.workdir / "reports"
    name, plan = f"{project.settings.set}-{project.settings.arch}", project.plan
    snapshots.keep(directory, name, snapshots.snapshot(steps, products), now)
    return Facts(
        title=product_name(plan),
        written=now,
        set=project.settings.set,
        arch=project.settings.arch,
        seed=f"{project.seed.name} {project.seed.identity}",
        plan_digest=plan.digest,
        product_digest=plan.product_digest,
        phases=tuple(plan.phases),
        product_phase=plan.set.phase,
        steps=steps,
        products=products,
        last_run=runs[0] if runs else None,
        runs=tuple([run for run in runs if built_something(run)][:RUNS]),
        failures=tuple(failures.reports(project, found.values())),
        warnings=tuple(_warnings(project, steps, broken)),
        comparison=snapshots.comparison(directory, name),
        next=told_next(ahead(project, found.values())),
    )


def _steps(project: Project, found: Mapping[str, StepState]) -> Iterator[StepFacts]:
    costs = shares(project)
    made = {task: each.artifact for task, each in found.items() if each.artifact}
    for found_state in found.values():
        inputs = Builder(project, found_state.step).inputs(made)
        step_id = identity.step_id(inputs) if inputs else None
        in_product = found_state.step.phase == project.plan.set.phase
        share = costs.get(found_state.step.name) if in_product else None
        yield _step(project, found_state, step_id, share)


def _step(
    project: Project, found_state: StepState, step_id: str | None, share: Share | None
) -> StepFacts:
    step, recipe = found_state.step, project.plan.recipes[found_state.step.name]
    there = found_state.is_here
    failed = not there and failures.report(project, step) is not None
    record = project.store.find(step_id) if step_id and there else None
    return StepFacts(
        task=step.task,
        name=step.name,
        phase=step.phase,
        version=step.version,
        license=recipe.license,
        description=recipe.description,
        state="failed" if failed else found_state.state,
        depends=step.depends,
        tools=step.tools,
        sources=step.sources,
        step_id=step_id,
        artifact=found_state.artifact,
        size=found_state.size if there else None,
        inside=share.size if share else None,
        packed=share.packed if share else None,
        **_measured(record),
    )


def _measured(record: Record | None) -> dict[str, Any]:
    # Steps that were packed from the running system have no measurements.
    if record is None or not record.memory:
        return {}
    return {
        "seconds": record.seconds,
        "cpu": record.cpu,
        "memory": record.memory,
        "resumed": record.resumed,
    }


def _products(project: Project, steps: tuple[StepFacts, ...]) -> Iterator[ProductFacts]:
    """The files that were made in this work directory and are unchanged since."""
    stamps = sorted((project.workdir / "stamps" / "products").glob("[0-9a-f]*.json"))
    kinds = _kinds(project, steps) if stamps else {}
    for stamp in stamps:
        try:
            file, made_of, size, mtime = json.loads(stamp.read_text())
            status = Path(file).stat()
        except (OSError, ValueError, TypeError):
            continue
        if (status.st_size, status.st_mtime_ns) == (size, mtime):
            sha256 = _sha256(project, Path(file), [size, mtime])
            yield ProductFacts(kinds.get(made_of, ""), file, size, sha256)


def _kinds(project: Project, steps: tuple[StepFacts, ...]) -> dict[str, str]:
    """The kind of each product, by the hash of its inputs; without incomplete products."""
    from tasks.bundle import bundle
    from tasks.products import of_the_set

    kinds = {bundle(project).made_of(): "bundle"}
    needed = [step for step in steps if step.phase == project.plan.set.phase]
    if all(step.state == UP_TO_DATE for step in needed):
        made = of_the_set(project)
        kinds |= {product(project).made_of(): kind for kind, product in made.items()}
    return kinds


def _sha256(project: Project, file: Path, state: list[int]) -> str:
    """The sha256 of `file`, computed once for each `state` (size and time)."""
    path = project.workdir / "reports" / "hashes.json"
    try:
        known = dict(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        known = {}
    before = known.get(str(file))
    if not isinstance(before, dict) or before.get("state") != state:
        known[str(file)] = {"state": state, "sha256": file_sha256(file)}
        write_file(path, json.dumps(known, indent=1) + "\n")
    return str(known[str(file)]["sha256"])


def _warnings(project: Project, steps: tuple[StepFacts, ...], broken: int) -> Iterator[str]:
    drift = [str(each["name"]) for each in project.seed.drift]
    if drift:
        yield f"The seed differs from its lock file: {', '.join(drift)}."
    changed = _overrides(project)
    if changed:
        yield f"{project.overrides} changes the recipes of {', '.join(changed)}."
    unsized = dict.fromkeys(s.name for s in steps if any(not each.size for each in s.sources))
    if unsized:
        yield f"The size of these sources is not known: {', '.join(unsized)}."
    resumed = [step.task for step in steps if step.resumed]
    if resumed:
        yield f"Measured only since the last interruption: {', '.join(resumed)}."
    if broken:
        yield f"{count(broken, 'broken line')} ignored in {project.events.path}."


def _overrides(project: Project) -> list[str]:
    """The names in the overrides of this work directory."""
    from plan.reading.overrides import load_overrides

    if not project.overrides.exists():
        return []
    return list(load_overrides(project.data, project.overrides).table)
