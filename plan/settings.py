"""The parameters of a run: what they are, what they may be, and where each value came from.

    command line (name=value) ▶ environment (BQ2_NAME) ▶ local.yaml ▶ default

The first that names a parameter wins. Unknown names and values are refused with the nearest
valid one: a misspelt parameter must never start a build of the wrong thing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from plan import checks
from plan.errors import BuildError, nearest
from plan.origins import from_environment, from_file
from plan.parameters import PARAMETERS, Parameter


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
        """The architecture of the seed and of the tools, on which everything is built."""
        return self.values["build"]

    @property
    def seed(self) -> str:
        return self.values["seed"]

    @property
    def seed_path(self) -> Path | None:
        """The folder or tarball that is the seed, if it is none of those that have a name."""
        named = self.seed in (*checks.SEEDS, "auto")
        return None if named else (self.root / self.seed).absolute()

    @property
    def seed_tarball(self) -> tuple[Path, str] | None:
        """The root that the seed alpine is to take in place of its own, and its sha256."""
        path = self._file("seed_tarball")
        if not path:
            return None
        if not self.values["seed_sha256"]:
            raise BuildError(
                "a seed without a hash could be anything",
                where=f"seed_tarball={path}",
                hint="say seed_sha256=… with the hash that its publisher gives",
            )
        return path, self.values["seed_sha256"]

    @property
    def seeds(self) -> list[str]:
        return checks.names(self.values["seeds"])

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

    def given(self, name: str) -> bool:
        """Whether the parameter `name` says something: a path, a text, or yes."""
        return self.values[name] not in ("", "0")

    def output(self, default: str) -> Path:
        """Where the product goes: `output=`, or `default` inside the checkout's output folder."""
        return (self.root / (self.values["output"] or f"output/{default}")).absolute()

    def _file(self, name: str) -> Path | None:
        return (self.root / self.values[name]).absolute() if self.values[name] else None


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
