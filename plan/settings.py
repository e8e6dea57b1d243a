"""The parameters of a run: what they are, what they may be, and where each value came from.

    command line (name=value) ▶ environment (BQ2_NAME) ▶ local.yaml ▶ default

The first that names a parameter wins. Unknown names and values are refused with the nearest
valid one: a misspelt parameter must never start a build of the wrong thing.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from plan import checks
from plan.architecture import architectures
from plan.errors import BuildError, nearest
from plan.origins import from_environment, from_file

ARCHITECTURES = architectures()
SETS = ("base", "full")
PLACES = ("namespace", "vm")
SEEDS = checks.SEEDS
PROGRESS = ("auto", "live", "plain", "json", "quiet")
VARIATIONS = (
    *("cold", "host", "jobs", "links", "locale", "order", "path", "serial", "time", "umask"),
    "user",
)


@dataclass(frozen=True)
class Parameter:
    """One parameter: `check` turns the given text into its canonical text or raises ValueError.

    Where the default is not the same everywhere, the docstring of `default` says what it is.
    """

    name: str
    default: Callable[[], str]
    check: Callable[[str], str]
    help: str


@dataclass(frozen=True)
class Settings:
    """The checked values of a run. Paths are absolute; `origin` names each value's source."""

    root: Path
    values: Mapping[str, str]
    origin: Mapping[str, str]

    @property
    def set(self) -> str:
        return self.values["set"]

    @property
    def added(self) -> list[str]:
        return checks.names(self.values["with"])

    @property
    def arch(self) -> str:
        return self.values["arch"]

    @property
    def build(self) -> str:
        """The architecture of this machine, on which everything is built."""
        return platform.machine()

    @property
    def seed(self) -> str:
        return self.values["seed"]

    @property
    def jobs(self) -> int:
        return int(self.values["jobs"])

    @property
    def timeout(self) -> float | None:
        """The seconds that a step may take."""
        return 60 * float(self.values["timeout"]) if self.values["timeout"] else None

    @property
    def offline(self) -> bool:
        """Whether no socket may be opened: a bundle is the only place then."""
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
    def strict(self) -> bool:
        return self.values["strict"] == "1"

    @property
    def sources(self) -> bool:
        return self.values["sources"] == "1"

    @property
    def mirror(self) -> str | None:
        return self.values["mirror"] or None

    @property
    def packages(self) -> list[str]:
        return checks.names(self.values["packages"])

    @property
    def variations(self) -> list[str]:
        return checks.names(self.values["variations"])

    @property
    def overlay(self) -> bool:
        """Whether trees are composed by overlay where the kernel lets them be."""
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
        return (self.root / self.values["workdir"]).absolute()

    def output(self, default: str) -> Path:
        """Where the product goes: `output=`, or `default` inside the checkout's output folder."""
        return (self.root / (self.values["output"] or f"output/{default}")).absolute()

    def _file(self, name: str) -> Path | None:
        return (self.root / self.values[name]).absolute() if self.values[name] else None


def _constant(text: str) -> Callable[[], str]:
    return lambda: text


def _this_machine() -> str:
    """that of this machine"""
    return platform.machine()


def _processors() -> str:
    """the processors that it may use"""
    return str(len(os.sched_getaffinity(0)))


PARAMETERS = (
    Parameter("set", _constant("full"), checks.one_of(*SETS), "what to build: " + ", ".join(SETS)),
    Parameter("with", _constant(""), checks.anything, "packages to add to the set, with commas"),
    Parameter("arch", _this_machine, checks.architecture(ARCHITECTURES), "the target architecture"),
    Parameter(
        "seed",
        _constant("debian"),
        checks.seed,
        "the first root: " + ", ".join(SEEDS) + ", or a path",
    ),
    Parameter("jobs", _processors, checks.count, "how many processes at once"),
    Parameter("timeout", _constant(""), checks.minutes, "minutes after which a step is ended"),
    Parameter("offline", _constant("0"), checks.flag, "never open a socket"),
    Parameter(
        "bundle", _constant(""), checks.file, "what doit bundle wrote: the only place to ask"
    ),
    Parameter("image", _constant(""), checks.file, "the image that doit inspect looks into"),
    Parameter("key", _constant(""), checks.file, "an SSH key: to sign with, or to check by (.pub)"),
    Parameter(
        "strict", _constant("0"), checks.flag, "refuse a seed that drifted from its lock file"
    ),
    Parameter("mirror", _constant(""), checks.url, "a Debian archive to ask before those of apt"),
    Parameter("workdir", _constant("work"), checks.path, "where builds happen"),
    Parameter("output", _constant(""), checks.anything, "the file to write (default: output/…)"),
    Parameter("sources", _constant("1"), checks.flag, "put the sources into the products"),
    Parameter(
        "packages",
        _constant(""),
        checks.anything,
        "what doit regenerate, verify or outdated looks at (all)",
    ),
    Parameter("in", _constant("namespace"), checks.one_of(*PLACES), "where doit regenerate works"),
    Parameter(
        "variations",
        _constant(""),
        checks.some_of(*VARIATIONS),
        "what doit verify makes different (all but links, serial)",
    ),
    Parameter(
        "overlay", _constant("1"), checks.flag, "compose trees by overlay where that can be had"
    ),
    Parameter(
        "progress",
        _constant("auto"),
        checks.one_of(*PROGRESS),
        "what the console shows: " + ", ".join(PROGRESS),
    ),
    Parameter("json", _constant("0"), checks.flag, "have doit status answer in JSON"),
    Parameter(
        "diff", _constant("0"), checks.flag, "have doit plan only say what changed since the last"
    ),
    Parameter(
        "suite", _constant("trixie"), checks.suite, "what doit outdated and doit bump look at"
    ),
    Parameter("keep", _constant("10"), checks.count, "of how many plans doit gc keeps all"),
    Parameter("dry", _constant("0"), checks.flag, "let doit gc only show what it would free"),
    Parameter(
        "phase", _constant(""), checks.phase, "which build doit shell enters (the last phase's)"
    ),
    Parameter(
        "run", _constant(""), checks.anything, "a command for doit boot or doit shell to run"
    ),
)


def resolve(root: Path, given: Mapping[str, str], environment: Mapping[str, str]) -> Settings:
    """Settings from the command line's `given`, the environment and `root`/local.yaml.

    Raises BuildError for an unknown name or value, with the nearest valid one.
    """
    by_name = {parameter.name: parameter for parameter in PARAMETERS}
    layers: list[tuple[str, dict[str, str]]] = [
        ("command line", dict(given)),
        ("environment", from_environment(environment)),
        ("local.yaml", from_file(root / "local.yaml")),
    ]
    for origin, layer in layers:
        for name in layer:
            if name not in by_name:
                raise BuildError(
                    f"unknown parameter {name!r}", where=origin, hint=nearest(name, by_name)
                )
    values, origins = {}, {}
    for parameter in PARAMETERS:
        origin, text = next(
            ((o, layer[parameter.name]) for o, layer in layers if parameter.name in layer),
            ("default", ""),
        )
        if origin == "default":
            text = parameter.default()
        values[parameter.name] = _checked(parameter, text, origin)
        origins[parameter.name] = origin
    return Settings(root, values, origins)


def _checked(parameter: Parameter, text: str, origin: str) -> str:
    try:
        return parameter.check(text)
    except ValueError as error:
        raise BuildError(
            f"{parameter.name} cannot be {text!r}", where=origin, hint=str(error)
        ) from None
