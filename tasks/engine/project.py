"""One checkout with the parameters of one run: its settings, its plan and its paths.

dodo.py makes one; several can exist in one process.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cache import paths
from cache.lock import WorkLock
from cache.store import Store
from cache.uses import Uses
from plan.checks import SELF
from plan.compiling.objects import require_objects
from plan.compiling.toolchain import Tools
from plan.errors import BuildError
from plan.model import Source
from plan.outputs import write_file
from plan.reading.data import Data
from plan.reading.overrides import NAME as OVERRIDES
from plan.reading.overrides import patch_directory
from plan.reading.recipe_files import Made, content, files
from plan.settings.resolve import resolve
from plan.settings.settings import Settings
from plan.steps.plan import Plan
from plan.steps.planner import make_plan
from plan.steps.toolbox import seed_tools
from tasks.engine.records.built import recall
from tasks.engine.records.events import Events
from tasks.engine.records.watch import Watch
from tasks.engine.seeds.auto import Choice, settled
from tasks.engine.seeds.system import System, described, require_builder

if TYPE_CHECKING:
    from cache.bundle import Bundle
    from plan.steps.needs import Needs
    from rootfs.sandbox.jobserver import JobServer
    from tasks.engine.objects import Objects
    from tasks.engine.seeds.given import Given
    from tasks.engine.seeds.roots import Seed
    from tasks.engine.taking import Taking
    from tasks.engine.workers import Workers

# Two threads may ask first for the same thing: from Python 3.12 on, cached_property has no lock.
_once = threading.Lock()

ROOT = Path(__file__).resolve().parents[2]


class SetupFailed(BuildError):
    """A task cannot start because its set-up failed, which was reported already."""


class Project:
    """The checkout at `settings.root` with the parameters of one run.

    cache: the directory shared with other checkouts (default: the user's). choice: the seed that
    seed=auto chose in this run.
    """

    def __init__(
        self, settings: Settings, *, cache: Path | None = None, choice: Choice | None = None
    ) -> None:
        self.settings = settings
        self.choice = choice
        self.cache = cache or paths.root()
        self.store = Store(self.cache)
        self.lock = WorkLock(settings.workdir)
        self.events = Events(settings.workdir / "events.jsonl")
        self.watch = Watch(self.events)
        self.uses = Uses(self.cache)
        self._verified: set[str] = set()
        self.trees_seen: set[Path] = set()
        """The unpacked trees that this run has checked."""
        self.failed: set[str] = set()
        """The failed tasks of this run."""
        self.asked: frozenset[str] = frozenset()
        """The tasks on the command line."""
        self.wanted: frozenset[str] = frozenset()
        """The tasks on the command line, and all that they depend on."""
        self.expected: frozenset[str] | None = None
        """The tasks of the steps that this run builds at most; None if that is not known."""
        self.is_building = False
        """Whether this run holds the work directory's lock, so that it may write."""
        self.only_asks = False
        """Whether this run writes nothing: it only shows something, or was refused."""
        self.has_let_go = False
        """Whether other runs may have built in the work directory since this one began."""
        self.exit_status = 0
        """The exit status if doit itself reports no failure (`doit boot run=…`)."""

    @property
    def root(self) -> Path:
        """The directory of the checkout."""
        return self.settings.root

    @property
    def data(self) -> Data:
        """The authored data of the plan: the recipes, the sets, the seeds; also of layers."""
        return self.settings.data

    @cached_property
    def plan(self) -> Plan:
        return self.planned(self.data, self.overrides)

    def planned(self, data: Data, overrides: Path) -> Plan:
        """The plan of this run, from `data` and the file `overrides`."""
        settings = self.settings
        try:
            return make_plan(
                data,
                set_name=settings.set,
                arch_name=settings.arch,
                build_name=settings.build,
                seed=self.tools,
                added=settings.added,
                loader=settings.loader,
                overrides=overrides,
            )
        except BuildError as error:
            raise settings.located(error) from None

    @cached_property
    def needs(self) -> Needs:
        """The measured figures about packages and the image."""
        from plan.steps.needs import load_needs

        return load_needs(self.data / "costs.yaml", root=self.plan.set.root)

    @cached_property
    def tools(self) -> Tools:
        """The seed's build tools, and those that it lacks."""
        seed, build = self.settings.seed, self.settings.build
        if self.given:
            return self.given.tools
        if path := self.settings.seed_path:
            seed = SELF
            require_builder(described(path) or {}, path, build)
        return seed_tools(self.data.seeds, seed, build)

    @cached_property
    def given(self) -> Given | None:
        """The root that seed=PATH names, unless this project built it."""
        path = self.settings.seed_path
        if path is None or described(path):
            return None
        from tasks.engine.seeds.given import look

        return look(path, self.settings, self.cache)

    @property
    def overrides(self) -> Path:
        """The file with the changes to the recipes in this work directory; it may not exist."""
        return self.workdir / OVERRIDES

    def recipe_files(self, package: str, paths: Iterable[str]) -> dict[str, Path]:
        """The file of the recipe for each of `paths`; a patch may be one of the overrides'.

        What layers add to is written to the work directory.
        """
        own = files(self.data, package)
        return {
            path: self._made(package, path, own[path])
            if path in own
            else patch_directory(self.overrides, package) / Path(path).name
            for path in paths
        }

    def _made(self, package: str, path: str, made: Made) -> Path:
        if made.file:
            return made.file
        written = self.workdir / "recipes" / package / path
        write_file(written, content(made))
        return written

    @cached_property
    def system(self) -> System | None:
        """The seed if this project built it, else None."""
        return System() if self.settings.seed == SELF else None

    @property
    def workdir(self) -> Path:
        return self.settings.workdir

    def shown(self, path: Path) -> str:
        """`path` as doit and people see it: relative to the checkout where it is inside.

        So a checkout that is moved keeps what doit knows of its files.
        """
        return os.fspath(path).removeprefix(f"{self.root}{os.sep}")

    @property
    def plan_file(self) -> Path:
        """plan.json, written by `doit plan` or the last build."""
        return self.workdir / "plan.json"

    @cached_property
    def seed(self) -> Seed:
        """The first root of this run."""
        from tasks.engine.chosen_seed import choose_seed

        return choose_seed(self)

    @cached_property
    def taking(self) -> Taking | None:
        """What takes finished steps from shared caches, or None if there are none."""
        if not self.settings.caches or self.settings.offline:
            return None
        from tasks.engine.taking import Taking

        return Taking(self)

    @property
    def workers(self) -> Workers | None:
        """The workers that build steps, or None without remote=."""
        if not self.settings.remote or self.settings.offline:
            return None
        with _once:
            return self._workers

    @cached_property
    def _workers(self) -> Workers:
        from tasks.engine.workers import Workers

        return Workers(self)

    @property
    def objects(self) -> Objects | None:
        """What compiles the packages of objects= on the workers, or None without remote=."""
        if self.workers is None:
            return None
        with _once:
            return self._objects

    @cached_property
    def _objects(self) -> Objects:
        from tasks.engine.objects import Objects

        return Objects(self, self._workers)

    @cached_property
    def bundle(self) -> Bundle | None:
        """The bundle that all files come from, or None."""
        from cache.bundle import Bundle

        return Bundle(self.settings.bundle, self.cache) if self.settings.bundle else None

    def require(self, *tasks: str) -> None:
        """Raise SetupFailed if one of `tasks` failed: doit runs a task even after that."""
        for name in tasks:
            if name in self.failed:
                raise SetupFailed(f"waits for {name}")

    def fetched(self, source: Source) -> Path:
        """The file of `source`; fetched now if the cache lacks it, or if it is damaged there.

        Its hash is checked once per run. Raises BuildError.
        """
        from tasks.engine.sources import fetch_now

        if source.sha256 not in self._verified:
            fetch_now(self, [source], verify=True)
            self._verified.add(source.sha256)
        return paths.source(source.sha256, self.cache)

    @property
    def jobs(self) -> JobServer:
        """The job server, which divides the processes of this run between the packages."""
        with _once:
            return self._jobs

    @cached_property
    def _jobs(self) -> JobServer:
        from rootfs.sandbox.jobserver import JobServer

        return JobServer(self.workdir / "jobserver", self.settings.jobs)

    @property
    def overlay(self) -> bool:
        """Whether overlayfs can compose trees; tried once.

        Raises BuildError if the composed trees would differ from other machines'.
        """
        with _once:
            return self._overlay

    @cached_property
    def _overlay(self) -> bool:
        from rootfs.sandbox.enter import overlay_works
        from rootfs.sandbox.host import require_fit

        require_fit(self.workdir, "workdir=PATH")
        require_fit(self.cache, "BQ2_CACHE=PATH")
        return self.settings.overlay and overlay_works(self.workdir)


def open_project(
    given: Mapping[str, str],
    environ: Mapping[str, str],
    root: Path = ROOT,
    here: Path | None = None,
    *,
    last: bool = False,
    asks: bool = True,
) -> Project:
    """The project of the checkout at `root`; `given`: the name=value words of a command line,
    `here`: the person's directory, if it is another one. last: what is not given is as in the last
    build here. asks: whether seed=auto may ask a server.

    It writes nothing, but what the tarball of seed=FILE has, into the cache. Raises BuildError if a
    parameter or an authored file is wrong, or a file cannot be read.
    """
    with _readable():
        cache = paths.root(environ)
        asked = resolve(root, given, environ, here)
        settings, choice = settled(recall(asked) if last else asked, cache, asks=asks)
        project = Project(settings, cache=cache, choice=choice)
        # This also reports errors in authored files now, before any task.
        try:
            require_objects(settings.objects, project.plan.recipes)
        except BuildError as error:
            raise settings.located(error) from None
        return project


@contextmanager
def _readable() -> Iterator[None]:
    """An OSError in the block becomes a BuildError: what is opened there is only read."""
    try:
        yield
    except OSError as error:
        where = os.fsdecode(error.filename) if error.filename else None
        raise BuildError(f"cannot be read: {error.strerror}", where=where) from error
