"""sbom, licenses: the bill of materials and the licenses of the product.

plan ─┬─ and the known artifacts ──▶ output/bootstrap-qcow2-<set>-<arch>.cdx.json
      └──▶ a table: license, and its packages
"""

from __future__ import annotations

from plan.documents.sbom import product_name, sbom
from plan.outputs import write_file
from tasks.actions import DoitTask, speaking
from tasks.console.console import say
from tasks.engine.products.shares import shares
from tasks.engine.project import Project
from tasks.engine.survey import survey


def task_sbom(project: Project) -> DoitTask:
    """write the bill of materials (CycloneDX); it is complete after the build

    sbom
    """
    return {"actions": [(speaking(_sbom), [project])]}


def task_licenses(project: Project) -> DoitTask:
    """show the licenses of the product's packages

    licenses
    """
    return {"actions": [(speaking(_licenses), [project])]}


def _sbom(project: Project) -> None:
    plan, made = project.plan, _artifacts(project)
    path = project.settings.output(f"{product_name(plan)}.cdx.json")
    sizes = {name: share.size for name, share in shares(project).items()}
    write_file(path, sbom(plan, made, sizes))
    count = len(plan.product)
    say(f"{path}: {count} packages, {len(made)} of them are built and have the artifact's hash")


def _artifacts(project: Project) -> dict[str, str]:
    """The known artifacts of the product by package, without those of older recipes."""
    found = survey(project)
    made = {name: found[step.task].artifact for name, step in project.plan.product.items()}
    return {name: artifact for name, artifact in made.items() if artifact}


def _licenses(project: Project) -> None:
    by_license: dict[str, list[str]] = {}
    for name in sorted(project.plan.product):
        by_license.setdefault(project.plan.recipes[name].license, []).append(name)
    for license, names in sorted(by_license.items(), key=lambda row: row[0].lower()):
        say(f"{license}\n    {', '.join(names)}")
    say(f"{len(project.plan.product)} packages, {len(by_license)} license expressions")
