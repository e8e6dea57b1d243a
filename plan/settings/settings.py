"""The typed values of the parameters of a run, and where each came from (resolve.py)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from plan import checks
from plan.errors import BuildError
from plan.reading.data import Data, load_data
from plan.settings.written import WRITTEN, require_unread
from plan.yamlfile import Table

STEPS_HERE, STEPS_THERE = 2, 32


@dataclass(frozen=True)
class Settings:
    """The checked values of a run. Paths are absolute; `origin` names the source of each value."""

    root: Path
    values: Mapping[str, str]
    origin: Mapping[str, str]
    app_section: Table | None = None
    """What local.yaml says of the app, besides where it is."""

    @property
    def set(self) -> str:
        return self.values["set"]

    @property
    def added(self) -> list[str]:
        return checks.names(self.values["with"])

    @property
    def layers(self) -> list[Path]:
        """The directories of the layers, in order."""
        return [Path(each).resolve() for each in checks.names(self.values["layer"])]

    @property
    def app(self) -> Path | None:
        """The directory of the Crystal project that is added to the set, or None."""
        path = self._file("app")
        return path.resolve() if path else None

    @cached_property
    def data(self) -> Data:
        """The authored data of the checkout and of the layers. Raises BuildError."""
        data = load_data(self.root / "plan", self.layers, self.app, self.app_section)
        for name in WRITTEN:
            require_unread(name, self.values[name], self.origin[name], data)
        return data

    @property
    def loader(self) -> str:
        """The package that starts the kernel, or "" if the firmware does."""
        return "" if self.values["loader"] == "none" else "loader"

    @property
    def arch(self) -> str:
        return self.values["arch"]

    @property
    def build(self) -> str:
        """The architecture of the seed and of the tools: all builds run on it."""
        return self.values["build"]

    @property
    def seed(self) -> str:
        return self.values["seed"]

    @property
    def seed_path(self) -> Path | None:
        """The directory or tarball that is the seed; None for a seed with a name."""
        named = self.seed in (*checks.SEEDS, checks.AUTO)
        return None if named else Path(self.seed)

    @property
    def seed_tarball(self) -> tuple[Path, str] | None:
        """The root that replaces the seed alpine's own, and its sha256; None if not given."""
        path = self._file("seed_tarball")
        if not path:
            return None
        if not self.values["seed_sha256"]:
            raise BuildError(
                "a seed tarball needs its sha256",
                where=f"seed_tarball={path}",
                hint="add seed_sha256=… with the hash from its publisher",
            )
        return path, self.values["seed_sha256"]

    @property
    def seed_release(self) -> str:
        """The release of the seed alpine, or "" for the usual one."""
        return self.values["seed_release"]

    @property
    def seeds(self) -> list[str]:
        return checks.names(self.values["seeds"])

    @property
    def jobs(self) -> int:
        return int(self.values["jobs"])

    @property
    def timeout(self) -> float | None:
        """The seconds that a step may take, or None."""
        return 60 * float(self.values["timeout"]) if self.values["timeout"] else None

    @property
    def command_limit(self) -> float | None:
        """The seconds that a command in a machine may take, or None: the usual ones.

        Only timeout= of the command line says it. Elsewhere it is meant for the steps of builds,
        and would end commands that take long for a good reason.
        """
        return self.timeout if self.origin["timeout"] == "command line" else None

    @property
    def offline(self) -> bool:
        """Whether the network must not be used: files come only from the cache or a bundle."""
        return self.values["offline"] == "1" or self.bundle is not None

    @property
    def bundle(self) -> Path | None:
        return self._file("bundle")

    @property
    def image(self) -> Path | None:
        return self._file("image")

    @property
    def key(self) -> Path | None:
        return self._file("key")

    @property
    def format(self) -> str:
        """The format of the image's file, one of `plan.settings.parameters.FORMATS`."""
        return self.values["format"]

    @property
    def archs(self) -> list[str]:
        return checks.names(self.values["archs"])

    @property
    def strict(self) -> bool:
        return self.values["strict"] == "1"

    @property
    def sources(self) -> bool:
        return self.values["sources"] == "1"

    @property
    def mirror(self) -> str | None:
        return self.values["mirror"] or None

    @property
    def caches(self) -> list[str]:
        """The URLs of the shared caches, in the order to ask them."""
        return checks.names(self.values["cache"])

    @property
    def trust(self) -> Path | None:
        return self._file("trust")

    @property
    def agree(self) -> int:
        """The number of builders that must name the same artifact of a step."""
        return int(self.values["agree"])

    @property
    def publish(self) -> str:
        return self.values["publish"]

    @property
    def headers(self) -> dict[str, dict[str, str]]:
        """The headers that a host gets with each request: HOST or HOST:PORT → name → value."""
        found: dict[str, dict[str, str]] = {}
        for line in self.values["headers"].splitlines():
            host, _, header = line.partition(" ")
            name, _, value = header.partition(": ")
            found.setdefault(host.lower(), {})[name] = value
        return found

    @property
    def remote(self) -> str:
        """The URL of the server whose workers build steps, or ""."""
        return self.values["remote"]

    @property
    def instance(self) -> str:
        return self.values["instance"]

    @property
    def platform(self) -> list[tuple[str, str]]:
        """The properties that a worker must have: (name, value)…"""
        pairs = (each.partition("=") for each in checks.names(self.values["platform"]))
        return [(name, value) for name, _, value in pairs]

    @property
    def objects(self) -> list[str]:
        """The packages that the workers compile object by object."""
        return checks.names(self.values["objects"])

    @property
    def client_certificate(self) -> Path | None:
        return self._file("client_certificate")

    @property
    def at_once(self) -> int:
        """How many steps may run at once: on this machine few, because each uses all jobs."""
        return STEPS_THERE if self.remote and not self.offline else min(self.jobs, STEPS_HERE)

    @property
    def days(self) -> int:
        return int(self.values["days"])

    @property
    def sample(self) -> str:
        """How many of the taken steps verify builds again: a number, "all", or ""."""
        return self.values["sample"]

    @property
    def packages(self) -> list[str]:
        return checks.names(self.values["packages"])

    @property
    def variations(self) -> list[str]:
        return checks.names(self.values["variations"])

    @property
    def overlay(self) -> bool:
        """Whether trees are composed with overlayfs if the kernel allows it."""
        return self.values["overlay"] == "1"

    @property
    def place(self) -> str:
        return self.values["in"]

    @property
    def progress(self) -> str:
        return self.values["progress"]

    @property
    def json(self) -> bool:
        return self.values["json"] == "1"

    @property
    def diff(self) -> bool:
        return self.values["diff"] == "1"

    @property
    def run(self) -> str:
        return self.values["run"]

    @property
    def to(self) -> str:
        """The machine that is updated, or "": the one that boot started."""
        return self.values["to"]

    @property
    def port(self) -> int | None:
        return int(self.values["port"]) if self.values["port"] else None

    @property
    def wait(self) -> int:
        """The seconds in which an updated machine must be up again."""
        return int(self.values["wait"])

    @property
    def ports(self) -> tuple[tuple[int, int], ...]:
        """(a port of this machine, a port of the booted one), …; those of the app by default."""
        own = self.data.app.ports if self.app and self.data.app else ()
        return checks.pairs(self.values["ports"]) or own

    @property
    def share(self) -> Path | None:
        return self._file("share")

    @property
    def persist(self) -> bool:
        return self.values["persist"] == "1"

    @property
    def memory(self) -> int | None:
        """MiB of memory of the booted machine, or None: what its image needs."""
        return int(self.values["memory"][:-1]) if self.values["memory"] else None

    @property
    def cpus(self) -> int | None:
        return int(self.values["cpus"]) if self.values["cpus"] else None

    @property
    def screen(self) -> bool:
        return self.values["screen"] == "1"

    @property
    def network(self) -> bool:
        """Whether a shell has the host's network. No build ever has."""
        return self.values["network"] == "1"

    @property
    def suite(self) -> str:
        return self.values["suite"]

    @property
    def keep(self) -> int:
        return int(self.values["keep"])

    @property
    def dry(self) -> bool:
        return self.values["dry"] == "1"

    @property
    def phase(self) -> str:
        return self.values["phase"]

    @property
    def workdir(self) -> Path:
        return Path(self.values["workdir"])

    def given(self, name: str) -> bool:
        """Whether the parameter `name` is set: a path, a text, or yes."""
        return self.values[name] not in ("", "0")

    def located(self, error: BuildError) -> BuildError:
        """`error` about a parameter (its place is "with="), with the source of the value added."""
        name = (error.where or "").removesuffix("=")
        origin = self.origin.get(name)
        if origin in ("environment", "local.yaml"):
            return BuildError(error.message, where=f"{origin}: {name}", hint=error.hint)
        return error

    def output(self, default: str) -> Path:
        """The path of the product: `output=`, or `default` in the checkout's output directory."""
        return self._file("output") or self.root / "output" / default

    def _file(self, name: str) -> Path | None:
        return Path(self.values[name]) if self.values[name] else None
