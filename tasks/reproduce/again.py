"""A second build of a step or product by this project, in its own work directory and cache.

    current records and artifacts (links) ─┐
    the varied conditions ─────────────────┴─▶ doit, in another work directory and cache
                                                          └─▶ one artifact, for the comparison only

The cache of the second run has everything except the step to build, so it builds only that. Its
result stays in that cache and never reaches the user's.

work/verify/cache/                the cache of the second run
work/verify/another-…/            its work directory
work/verify/disk/                 both, on another file system
work/verify/log                   its output
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from cache.store import Record, Store
from plan.errors import BuildError
from plan.model import Step
from rootfs.archives.files import fresh_directory
from rootfs.sandbox.conditions import run
from tasks.engine.failures import headline, report
from tasks.engine.project import Project
from tasks.engine.stamps import Stamp
from tasks.engine.trees import listing_file, source_tree
from tasks.reproduce import variations
from tasks.reproduce.elsewhere import Elsewhere
from tasks.reproduce.other_python import another, libraries

TAIL = 12  # lines


class Again:
    """Makes second builds under the variations `names`.

    `directory`: where files for the comparison are kept. `place`: where the second run works.
    """

    def __init__(self, project: Project, names: set[str], directory: Path, place: Path) -> None:
        self.project, self.names = project, names
        self.directory, self.place = directory, place
        self.workdir = fresh_directory(place / variations.WORK)
        self.cache = fresh_directory(place / "cache")
        self.log = self.directory / "log"
        self._limits: dict[Step | None, int] = {}
        self.marks = variations.marks(names, project.workdir, project.settings.jobs)
        self.elsewhere = Elsewhere(project, self.workdir)
        _link(self.cache, {name: project.cache / name for name in ("sources", "seeds")})
        for name in ("trees", "artifacts", "steps"):
            (self.cache / name).mkdir()
        (self.workdir / "sources").mkdir()
        self.seed = {project.seed.tree.name: os.fspath(project.seed.tree)}
        _link(self.cache / "trees", self.seed)

    def step(self, step: Step) -> Path | None:
        """Build `step` again; return the packed artifact, or None if it failed (see `log`)."""
        self._lay_out(without=step)
        Stamp(self.elsewhere.project, step).forget()
        wanted = Stamp(self.project, step).require().step
        self._run(step, step.task)
        record = self.cache / "steps" / f"{wanted}.json"
        if not record.exists():
            return None
        return Store(self.cache).artifact(Record(**json.loads(record.read_text())).artifact)

    def product(self, task: str) -> Path | None:
        """Write the product of `task`, a command, again; return None if that failed."""
        self._lay_out(without=None)
        out = self.place / task
        out.unlink(missing_ok=True)
        self._run(None, task, output=out)
        return out if out.exists() else None

    def varied(self, step: Step | None) -> set[str]:
        """The variations that are used for `step`, or for a product: `order` needs memory."""
        return self.names if self._limit(step) else self.names - {"order"}

    def failure(self, step: Step | None) -> tuple[list[str], Path]:
        """Why the second run failed, as lines, and the path of its log."""
        told = report(self.elsewhere.project, step) if step else None
        if told and "log" in told:
            return [*told["tail"][-TAIL:], headline(told)], Path(told["log"])
        return self.log.read_text(errors="replace").rstrip().splitlines()[-TAIL:], self.log

    def _limit(self, step: Step | None) -> int:
        """The bytes of memory for the inputs of `step`, or of a product; 0 if there are too few.

        Computed once: free memory changes, and the report must match the build.
        """
        if step not in self._limits:
            self._limits[step] = self._room(step)
        return self._limits[step]

    def _room(self, step: Step | None) -> int:
        project = self.project
        before = project.plan.before(step) if step else project.plan.product.values()
        stamps = [Stamp(project, each).read() for each in before]
        sources = step.sources[:1] if step else ()
        return variations.room(
            [project.fetched(source) for source in sources],
            [project.store.artifact(stamp.artifact) for stamp in stamps if stamp],
        )

    def _lay_out(self, *, without: Step | None) -> None:
        """Prepare the files of a run that has built everything except this step."""
        project, store = self.project, self.project.store
        fresh_directory(self.workdir / "stamps")
        steps, artifacts = (fresh_directory(self.cache / name) for name in ("steps", "artifacts"))
        for step in project.plan.steps:
            stamp = Stamp(project, step).read()
            if stamp and step != without:
                artifact, record = stamp.artifact, f"{stamp.step}.json"
                _link(artifacts, {f"{artifact}.tar": store.artifact(artifact)})
                _link(steps, {record: store.root / "steps" / record})
                if "cold" not in self.names:
                    _link(self.cache / "trees", {artifact: store.tree(artifact)})
        if "cold" not in self.names:
            trees = [source_tree(project, source) for source in project.plan.sources]
            parts = [part for tree in trees for part in (tree, listing_file(tree))]
            _link(self.workdir / "sources", {part.name: part for part in parts})
        self.elsewhere.take_overrides()

    def _run(self, step: Step | None, task: str, *, output: Path | None = None) -> None:
        """Run doit for `task` under other conditions. Raises BuildError if it was killed."""
        settings, names = self.project.settings, self.varied(step)
        memory = {
            os.fspath(self.cache / "trees"): self.seed,
            os.fspath(self.workdir / "sources"): dict[str, str](),
        }
        own = self.elsewhere.environment() | {
            "BQ2_CACHE": os.fspath(self.cache),
            "BQ2_OFFLINE": "1",
            "BQ2_PROGRESS": "plain",
            "BQ2_REMOTE": "",  # a worker has conditions of its own
        }
        own |= variations.environment(names, settings.jobs)
        above = [*memory, *map(os.fspath, (self.workdir, self.cache))]
        found = variations.conditions(names, memory, self._limit(step), above)
        command = [sys.executable, "-m", "doit", task]
        command += [f"output={output}"] if output else []
        if "python" in names and (python := another()):
            command[0] = python.program
            own |= {"PYTHONPATH": libraries(), "PYTHONDONTWRITEBYTECODE": "1"}
        status = run(command, found, environment=own, log=self.log)
        if status in (-signal.SIGKILL, -signal.SIGTERM):
            raise BuildError("the second build was killed", where=task, hint=f"log: {self.log}")


def _link(directory: Path, targets: Mapping[str, Path | str]) -> None:
    """Link those of `targets` that exist to the unused names in `directory`."""
    for name, target in targets.items():
        path = directory / name
        if Path(target).exists() and not os.path.lexists(path):
            path.symlink_to(target)
