"""Finds the value of each parameter of a run.

    command line (name=value) ▶ environment (BQ2_NAME) ▶ local.yaml ▶ default

The first source that has a parameter wins. Unknown names and values are refused, with the nearest
valid one: a misspelt parameter must never start a wrong build. A relative path from the command
line or the environment starts at the person's directory, all others at the checkout.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from plan import checks
from plan.errors import BuildError, nearest, shortened
from plan.own_files import IGNORED, own_part
from plan.reading.app import is_layer
from plan.settings.origins import from_environment, from_file
from plan.settings.parameter import Parameter
from plan.settings.parameters import PARAMETERS, parameters
from plan.settings.settings import Settings
from plan.settings.written import WRITTEN
from plan.typed import program
from plan.yamlfile import Table

OF_APPS = {"set": "base", "loader": "crystal"}
"""What an app is added to, unless another one is named. The loader lets `push` update it."""


PARTNERS = {
    **dict.fromkeys(("instance", "platform", "objects", "client_certificate"), "remote"),
    **dict.fromkeys(("trust", "agree"), "cache"),
}
"""Parameter → the one without which nothing reads it."""

CHOICES = {
    **dict.fromkeys(("packages", "seeds", "variations"), "all of them are meant"),
    "archs": "the image of one architecture is written",
}
"""Of these, nothing is no choice. Each with what it means to leave it out."""


def resolve(
    root: Path, given: Mapping[str, str], environment: Mapping[str, str], here: Path | None = None
) -> Settings:
    """Settings from the command line's `given`, the environment and `root`/local.yaml.

    here: the directory of the person, if it is not `root`, which is absolute.
    Raises BuildError for an unknown name or value, with the nearest valid one.
    """
    by_name = {parameter.name: parameter for parameter in PARAMETERS}
    local, section = from_file(root / "local.yaml")
    origins: list[tuple[str, Mapping[str, str]]] = [
        ("command line", given),
        ("environment", from_environment(environment)),
        ("local.yaml", local),
    ]
    for origin, texts in origins:
        for name in texts:
            if name not in by_name:
                typed = f" (BQ2_{shortened(name.upper())})" if origin == "environment" else ""
                raise BuildError(
                    f"unknown parameter {shortened(name)!r}{typed}",
                    where=_place(origin, texts, name),
                    hint=nearest(name, by_name),
                )

    for name, parameter in by_name.items():
        if parameter.secret and name in given:
            raise BuildError(
                f"{name} is secret, and others can see a command line",
                where="command line",
                hint="put it into local.yaml",
            )
        place = next((_place(o, texts, name) for o, texts in origins[1:] if texts.get(name)), "")
        if parameter.once and place:
            # Every command would write that file, one over the other.
            raise BuildError(
                f"{name} is for one command",
                where=place,
                hint=f"give it on the command line: {name}=FILE",
            )

    def value(parameter: Parameter) -> tuple[str, str]:
        name = parameter.name
        given_at = next(((o, texts) for o, texts in origins if name in texts), None)
        if given_at is None:
            return _checked(parameter, parameter.default(), "default", root, root), "default"
        origin, texts = given_at
        directory = root if origin == "local.yaml" else here or root
        place = _place(origin, texts, name)
        return _checked(parameter, texts[name], place, directory, root), origin

    # Layers define further values of other parameters.
    layers = [Path(each) for each in checks.names(value(by_name["layer"])[0])]
    app, named = value(by_name["app"])[0], local.get("app")
    layers += [Path(app)] if app and is_layer(Path(app)) else []
    found = {parameter.name: value(parameter) for parameter in parameters(layers)}
    if app:
        for name, text in OF_APPS.items():
            if found[name][1] == "default":
                found[name] = (text, "app=")
    _require_partners(given, {name: text for name, (text, _) in found.items()})
    named = checks.placed(named, root) if named else ""
    return Settings(
        root,
        {name: text for name, (text, _) in found.items()},
        {name: origin for name, (_, origin) in found.items()},
        section if not named or os.path.realpath(app) == os.path.realpath(named) else None,
    )


def _require_partners(given: Mapping[str, str], values: Mapping[str, str]) -> None:
    """Raise BuildError if the command line gives what has no effect without another parameter.

    In local.yaml it may stand: there it waits for the other one. Also if it chooses nothing.
    """
    if empty := [name for name in CHOICES if given.get(name) == ""]:
        hint = f"leave out {empty[0]}=; then {CHOICES[empty[0]]}"
        raise BuildError(f"{empty[0]}= names nothing", where="command line", hint=hint)
    lost = [name for name in given if name in PARTNERS and not values[PARTNERS[name]]]
    lost = [name for name in lost if values[name]]
    if lost:
        partner = PARTNERS[lost[0]]
        raise BuildError(
            f"{lost[0]}= has no effect without {partner}=",
            where="command line",
            hint=f"give both, or leave out {lost[0]}=; {program()} help {partner} explains it",
        )
    of_alpine = [name for name in ("seed_release", "seed_tarball") if given.get(name)]
    seeds = {values["seed"], *checks.names(values["seeds"])}
    if of_alpine and not seeds & {checks.AUTO, checks.ALPINE}:
        raise BuildError(
            f"{of_alpine[0]}= has no effect with seed={values['seed']}",
            where="command line",
            hint="it chooses the root of seed=alpine",
        )

    seed = values["seed"]
    if (
        given.get("seed_sha256")
        and not values["seed_tarball"]
        and seed in (*checks.SEEDS, checks.AUTO)
    ):
        raise BuildError(
            f"seed_sha256= has no effect with seed={seed}",
            where="command line",
            hint="it is the hash of the file that seed_tarball= or seed= names",
        )


def _require_own_place(root: Path, text: str) -> None:
    """Raise ValueError if what is written to the path `text` would get among the project's files.

    They are hashed, and travel in the product: it could never be up to date.
    """
    if text and (part := own_part(root, Path(text))):
        what = "is this checkout" if part == "." else f"is in this project's own {part}"
        others = " or ".join(IGNORED)
        raise ValueError(f"it {what}: name a path outside of the checkout, or in its {others}")


def _place(origin: str, texts: Mapping[str, str], name: str) -> str:
    """Where the parameter `name` stands: in a file, its line."""
    return texts.where(name) if isinstance(texts, Table) else origin


def _checked(parameter: Parameter, text: str, place: str, directory: Path, root: Path) -> str:
    try:
        value = parameter.check(parameter.placed(text, directory))
        if parameter.name in WRITTEN:
            _require_own_place(root, value)
        return value
    except ValueError as error:
        shown = "this" if parameter.secret else repr(shortened(text))
        raise BuildError(
            f"{parameter.name} cannot be {shown}", where=place, hint=str(error)
        ) from None
