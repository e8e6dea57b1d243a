"""What all task modules share: the settings, the plan and the places of this run, made once."""

from __future__ import annotations

import os
import threading
from functools import cached_property
from pathlib import Path
from typing import Any

from doit import doit_cmd, get_initial_workdir
from doit.exceptions import InvalidDodoFile

from cache import paths
from cache.lock import WorkLock
from cache.store import Store
from cache.uses import Uses
from plan.errors import BuildError
from plan.model import Source
from plan.overrides import NAME as OVERRIDES
from plan.overrides import patch_folder
from plan.plan import Plan
from plan.planner import make_plan
from plan.settings import Settings, resolve
from plan.toolbox import seed_tools
from plan.toolchain import Tools
from rootfs.jobserver import JobServer
from tasks.auto import settled
from tasks.console import SetupFailed
from tasks.events import Events
from tasks.system import System, described, require_builder
from tasks.watch import Watch

# Two threads may be the first to ask for the same thing.
_once = threading.Lock()

ROOT = Path(__file__).resolve().parent.parent
# Where the person stands: doit changes to the directory of dodo.py.
HERE = Path(get_initial_workdir() or ROOT)


class Project:
    """One checkout with the parameters of one run."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.data = ROOT / "plan"
        self.store = Store()
        self.lock = WorkLock(settings.workdir)
        self.events = Events(settings.workdir / "events.jsonl")
        self.watch = Watch(self.events)
        self.uses = Uses()
        self._verified: set[str] = set()
        self.failed: set[str] = set()
        """The tasks of this run that failed."""
        self.exit_status = 0
        """What the process ends with if doit finds nothing worse (`doit boot run=…`)."""

    @cached_property
    def plan(self) -> Plan:
        return self.planned(self.data, self.overrides)

    def planned(self, data: Path, overrides: Path) -> Plan:
        """The plan of this run from the folder `data` and the file `overrides`."""
        settings = self.settings
        return make_plan(
            data,
            set_name=settings.set,
            arch_name=settings.arch,
            build_name=settings.build,
            seed=self.tools,
            added=settings.added,
            overrides=overrides,
        )

    @cached_property
    def tools(self) -> Tools:
        """What the seed has for building, and what it lacks."""
        seed, build = self.settings.seed, self.settings.build
        if (path := self.settings.seed_path) and (about := described(path)):
            require_builder(about, path, build)
            seed = "self"
        return seed_tools(self.data / "seeds", seed, build)

    @property
    def overrides(self) -> Path:
        """The file that says what differs from the recipes in this work directory, if it exists."""
        return self.workdir / OVERRIDES

    def recipe_file(self, package: str, path: str) -> Path:
        """Where the file `path` of the recipe lies; a patch may be one of the overrides'."""
        own = self.data / "recipes" / package / path
        return own if own.exists() else patch_folder(self.overrides, package) / Path(path).name

    @cached_property
    def system(self) -> System | None:
        """The system of ours that is the seed, or None where the seed is another."""
        return System() if self.settings.seed == "self" else None

    @property
    def workdir(self) -> Path:
        return self.settings.workdir

    @property
    def plan_file(self) -> Path:
        """plan.json, as `doit plan` or the last build wrote it."""
        return self.workdir / "plan.json"

    @cached_property
    def seed(self) -> Any:
        from tasks.seed import choose_seed

        return choose_seed(self)

    @cached_property
    def bundle(self) -> Any:
        """The bundle that all is taken from (cache.bundle.Bundle), or None."""
        from cache.bundle import Bundle

        return Bundle(self.settings.bundle) if self.settings.bundle else None

    def require(self, *tasks: str) -> None:
        """Raise SetupFailed if one of `tasks` failed: doit runs a task even if its set-up did."""
        for name in tasks:
            if name in self.failed:
                raise SetupFailed(f"waits for {name}")

    def fetched(self, source: Source) -> Path:
        """The file of `source`, fetched now if the cache lacks it, or has it damaged.

        It is read once in a run, for what it says it is. Raises BuildError.
        """
        from tasks.sources import fetch_now

        if source.sha256 not in self._verified:
            fetch_now([source], verify=True)
            self._verified.add(source.sha256)
        return paths.source(source.sha256)

    @property
    def jobs(self) -> JobServer:
        """What divides the processes of this run between the packages."""
        with _once:
            return self._jobs

    @cached_property
    def _jobs(self) -> JobServer:
        return JobServer(self.workdir / "jobserver", self.settings.jobs)

    @cached_property
    def overlay(self) -> bool:
        """Whether trees can be composed by overlay; found out once, by trying."""
        from rootfs.enter import overlay_works

        return self.settings.overlay and overlay_works(self.workdir)


def _load() -> Project:
    # doit keeps the name=value words of its command line here; get_var only asks for known names,
    # and it is the unknown ones that must be refused.
    given = doit_cmd._CMDLINE_VARS or {}
    try:
        settings = resolve(ROOT, given, os.environ, HERE)
        loaded = Project(settled(settings, ROOT / "plan" / "seeds"))
        loaded.plan  # noqa: B018  every mistake in an authored file shows here, before any task
        loaded.workdir.mkdir(parents=True, exist_ok=True)
        return loaded
    except BuildError as error:
        raise InvalidDodoFile(str(error)) from None
    except OSError as error:
        message = f"{error.filename}: the work directory cannot be made: {error.strerror}"
        raise InvalidDodoFile(f"{message}\n  name another one: workdir=PATH") from None


project = _load()
