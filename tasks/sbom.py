"""sbom, licences: what the product of the set is made of, for programs and for people.

plan ─┬─ and the artifacts that stand ──▶ output/bootstrap-qcow2-<set>-<arch>.cdx.json
      └──▶ a table: licence, and the packages that are under it
"""

from __future__ import annotations

from typing import Any

from plan.sbom import product_name, sbom
from rootfs.files import replacing
from tasks.builder import Builder
from tasks.console import say, speaking
from tasks.project import project
from tasks.stamps import artifacts


def task_sbom() -> dict[str, Any]:
    """the bill of materials of the product, as CycloneDX; complete once it is built"""
    return {"actions": [(speaking(_sbom),)]}


def task_licences() -> dict[str, Any]:
    """the licences of the product's packages"""
    return {"actions": [(speaking(_licences),)]}


def _sbom() -> None:
    plan, made = project.plan, _artifacts()
    path = project.settings.output(f"{product_name(plan)}.cdx.json")
    with replacing(path) as file:
        file.write(sbom(plan, made).encode())
    count = len(plan.product)
    say(f"{path}: {count} packages, {len(made)} of them built, which have the artifact's hash")


def _artifacts() -> dict[str, str]:
    """The artifacts of the product that stand, by package, and none of an earlier recipe."""
    plan, standing = project.plan, set[str]()
    for step in plan.steps:
        before = {each.task for each in plan.before(step)}
        if before <= standing and Builder(project, step).stands():
            standing.add(step.task)
    steps = [step for step in plan.product.values() if step.task in standing]
    found = artifacts(project, steps)
    return {step.name: found[step.task] for step in steps}


def _licences() -> None:
    by_licence: dict[str, list[str]] = {}
    for name in sorted(project.plan.product):
        by_licence.setdefault(project.plan.recipes[name].licence, []).append(name)
    for licence, names in sorted(by_licence.items(), key=lambda row: row[0].lower()):
        say(f"{licence}\n    {', '.join(names)}")
    say(f"{len(project.plan.product)} packages, {len(by_licence)} licences or choices of some")
