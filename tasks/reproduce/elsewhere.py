"""Runs this project a second time, in another work directory, with some other parameters.

    settings ──changes──▶ Elsewhere ─┬─▶ environment   for `doit`, which is run with it
                                     └─▶ project       to read the results

`doit verify` and `doit challenge` use it; the overrides are copied.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

from plan.reading.overrides import NAME as OVERRIDES
from plan.settings.origins import variable
from tasks.engine.project import Project


class Elsewhere:
    """The run in `workdir`; `changes`: the parameters that differ from those of `project`."""

    def __init__(self, project: Project, workdir: Path, **changes: str) -> None:
        self.home, self.workdir = project, workdir
        ours = {**project.settings.values, "output": ""}
        self.values = {**ours, **changes, "workdir": os.fspath(workdir)}

    @property
    def project(self) -> Project:
        """The project as that run sees it."""
        settings = replace(self.home.settings, values=self.values)
        return Project(settings, cache=self.home.cache)

    def environment(self) -> dict[str, str]:
        """The environment of the process; it sets all parameters, so nothing else can."""
        own = {name: value for name, value in os.environ.items() if name[:4] != "BQ2_"}
        cache = {"BQ2_CACHE": os.fspath(self.home.cache)}
        given = {variable(name): value for name, value in self.values.items()}
        # A second build must be a build: it takes nothing that other machines made.
        return own | cache | given | {variable("cache"): ""}

    def take_overrides(self) -> None:
        """Give the other work directory the overrides of this one, and no older ones."""
        home, there = self.home, self.workdir / OVERRIDES
        there.unlink(missing_ok=True)
        for file in home.plan.override_files:
            target = self.workdir / file.relative_to(home.workdir)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
