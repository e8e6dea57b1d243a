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

from plan.errors import BuildError, nearest
from plan.model import PHASES
from plan.origins import from_environment, from_file

ARCHITECTURES = ("aarch64", "x86_64")
SETS = ("base", "full")
PLACES = ("namespace", "vm")
PROGRESS = ("auto", "live", "plain", "json", "quiet")
SEEDS = ("alpine", "debian", "self")
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
        return _names(self.values["with"])

    @property
    def arch(self) -> str:
        return self.values["arch"]

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
        return _names(self.values["packages"])

    @property
    def variations(self) -> list[str]:
        return _names(self.values["variations"])

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


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _one_of(*known: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if text not in known:
            raise ValueError(nearest(text, known))
        return text

    return check


def _some_of(*known: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        return ",".join(_one_of(*known)(name) for name in _names(text))

    return check


def _flag(text: str) -> str:
    for flag, words in (("1", ("1", "yes", "true", "on")), ("0", ("0", "no", "false", "off"))):
        if text.lower() in words:
            return flag
    raise ValueError("it is yes or no")


def _count(text: str) -> str:
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise ValueError("it is a whole number from 1 to 1024")
    return str(int(text))


def _minutes(text: str) -> str:
    if text and not (text.replace(".", "", 1).isdecimal() and 0 < float(text) < 1e6):
        raise ValueError("it is a number of minutes")
    return text


def _seed(text: str) -> str:
    if text in SEEDS or Path(text).exists():
        return text
    if "/" in text:
        raise ValueError("no such directory or tarball")
    raise ValueError(nearest(text, SEEDS) + " (or the path of a directory or tarball)")


def _url(text: str) -> str:
    if text and not text.startswith(("http://", "https://")):
        raise ValueError("it is the http(s) URL of a Debian archive")
    return text.rstrip("/")


def _path(text: str) -> str:
    if not text or "\0" in text:
        raise ValueError("it is a path")
    return text


def _suite(text: str) -> str:
    if not text.replace("-", "").isalnum():
        raise ValueError("it is the name of a Debian suite, like trixie or sid")
    return text


def _file(text: str) -> str:
    if text and not Path(text).is_file():
        raise ValueError("it is a file that is there")
    return text


def _phase(text: str) -> str:
    return _one_of(*PHASES)(text) if text else ""


def _any(text: str) -> str:
    return text


def _constant(text: str) -> Callable[[], str]:
    return lambda: text


def _this_machine() -> str:
    """that of this machine"""
    return platform.machine()


def _processors() -> str:
    """the processors that it may use"""
    return str(len(os.sched_getaffinity(0)))


PARAMETERS = (
    Parameter("set", _constant("full"), _one_of(*SETS), "what to build: " + ", ".join(SETS)),
    Parameter("with", _constant(""), _any, "packages to add to the set, with commas"),
    Parameter("arch", _this_machine, _one_of(*ARCHITECTURES), "the target architecture"),
    Parameter(
        "seed", _constant("debian"), _seed, "the first root: " + ", ".join(SEEDS) + ", or a path"
    ),
    Parameter("jobs", _processors, _count, "how many processes at once"),
    Parameter("timeout", _constant(""), _minutes, "minutes after which a step is ended"),
    Parameter("offline", _constant("0"), _flag, "never open a socket"),
    Parameter("bundle", _constant(""), _file, "what doit bundle wrote: the only place to ask"),
    Parameter("image", _constant(""), _file, "the image that doit inspect looks into"),
    Parameter("key", _constant(""), _file, "an SSH key: to sign with, or to check by (.pub)"),
    Parameter("strict", _constant("0"), _flag, "refuse a seed that drifted from its lock file"),
    Parameter("mirror", _constant(""), _url, "a Debian archive to ask before those of apt"),
    Parameter("workdir", _constant("work"), _path, "where builds happen"),
    Parameter("output", _constant(""), _any, "the file to write (default: output/…)"),
    Parameter("sources", _constant("1"), _flag, "put the sources into the products"),
    Parameter(
        "packages", _constant(""), _any, "what doit regenerate, verify or outdated looks at (all)"
    ),
    Parameter("in", _constant("namespace"), _one_of(*PLACES), "where doit regenerate works"),
    Parameter(
        "variations",
        _constant(""),
        _some_of(*VARIATIONS),
        "what doit verify makes different (all but links, serial)",
    ),
    Parameter("overlay", _constant("1"), _flag, "compose trees by overlay where that can be had"),
    Parameter(
        "progress",
        _constant("auto"),
        _one_of(*PROGRESS),
        "what the console shows: " + ", ".join(PROGRESS),
    ),
    Parameter("json", _constant("0"), _flag, "have doit status answer in JSON"),
    Parameter("diff", _constant("0"), _flag, "have doit plan only say what changed since the last"),
    Parameter("suite", _constant("trixie"), _suite, "what doit outdated and doit bump look at"),
    Parameter("keep", _constant("10"), _count, "of how many plans doit gc keeps all"),
    Parameter("dry", _constant("0"), _flag, "let doit gc only show what it would free"),
    Parameter("phase", _constant(""), _phase, "which build doit shell enters (the last phase's)"),
    Parameter("run", _constant(""), _any, "a command for doit boot or doit shell to run"),
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
