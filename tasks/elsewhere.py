"""This project run a second time, by itself: another work directory, some parameters other.

    settings ──changes──▶ Elsewhere ─┬─▶ environment   for `doit`, which is run with it
                                     └─▶ project       to read what came of it

`doit verify` and `doit challenge` build so; what overrides there are go along.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from plan.overrides import load_overrides
from plan.settings import Settings
from tasks.project import Project


class Elsewhere:
    """The run in `workdir`; `changes`: the parameters that are other than those of `project`."""

    def __init__(self, project: Project, workdir: Path, **changes: str) -> None:
        self.home, self.workdir = project, workdir
        self.values = {**project.settings.values, **changes, "workdir": os.fspath(workdir)}

    @property
    def project(self) -> Project:
        """The project as that run sees it, or saw it."""
        settings = self.home.settings
        return Project(Settings(settings.root, self.values, settings.origin))

    def environment(self) -> dict[str, str]:
        """That of the process; it names all parameters, so nothing else can."""
        own = {name: value for name, value in os.environ.items() if name[:4] != "BQ2_"}
        cache = {"BQ2_CACHE": os.environ["BQ2_CACHE"]} if "BQ2_CACHE" in os.environ else {}
        given = {f"BQ2_{name.upper()}": value for name, value in self.values.items()}
        return own | cache | given

    def take_overrides(self) -> None:
        """Lay the overrides of the work directory at home into the other."""
        home = self.home
        for file in load_overrides(home.data / "recipes", home.overrides).files:
            target = self.workdir / file.relative_to(home.workdir)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
