"""The error for a wrong name of a package: whether a set lacks it, or which name is the nearest."""

from __future__ import annotations

from collections.abc import Iterable

from plan.errors import BuildError, nearest
from tasks.engine.project import Project


def no_such(
    project: Project, name: str, known: Iterable[str], *, told: str = "", listed: Iterable[str] = ()
) -> BuildError:
    """The error if `name` ("zlib", "pkg:zlib" or a task) is not in `known`. told: its message if
    no recipe has the name. listed: as for `nearest`.
    """
    plan, package = project.plan, name.rpartition(":")[2]
    if package in plan.recipes and package not in {step.name for step in plan.steps}:
        message = f"{package} is not in the set {plan.set.name}"
        if package.startswith("seed-"):
            return BuildError(message, hint="only a seed that lacks the tool builds it")
        wider = ",".join([*project.settings.added, package])
        return BuildError(message, hint=f"with={wider} adds it")
    told = told or f"the set {plan.set.name} has no package {name!r}"
    return BuildError(told, hint=nearest(name, known, listed=listed))
