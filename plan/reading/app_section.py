"""The section `app`: what the machine of a person's program needs to know.

    DIR/layer.yaml    what the program needs everywhere ─┐
    local.yaml        what it needs in this checkout ────┴─▶ one section

A key of local.yaml wins over the same key of layer.yaml. The variables of `environment` are merged
one by one. Each file is checked on its own, so that a message names the line that is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from plan import checks
from plan.errors import BuildError
from plan.reading.keys import APP, LOCAL_APP, Keys, kinds
from plan.yamlfile import Table

DIRECTORY = "directory"
"""The key of local.yaml for what `app=` gives."""
OF_START = {"HOME": "/root", "PATH": "/usr/bin"}
"""What plan/program/start sets."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def of_program(about: Table) -> Table:
    """The checked section of a layer.yaml; an empty one if it has none. Raises BuildError."""
    section = about.get("app", Table(about.file, 1))
    if not isinstance(section, Table):
        raise BuildError("'app' must be a mapping", where=about.where("app"))
    return _checked(section, APP)


def of_checkout(section: Table) -> tuple[str | None, Table]:
    """The directory that the section of a local.yaml names, if it does, and the checked rest.

    Raises BuildError.
    """
    rest = _checked(section, LOCAL_APP).copied()
    return rest.pop(DIRECTORY, None), rest


def merged(program: Table, checkout: Table) -> Table:
    """The section of a layer.yaml, and over it that of local.yaml."""
    both = program.copied()
    for key, value in checkout.items():
        both.put(key, value, checkout.where(key))
    if "environment" in program and "environment" in checkout:
        variables = program["environment"].copied()
        for name, text in checkout["environment"].items():
            variables.put(name, text, checkout["environment"].where(name))
        both.put("environment", variables, checkout.where("environment"))
    return both


def _checked(section: Table, keys: Keys) -> Table:
    expected: Mapping[str, type] = kinds(keys)
    section.expect(expected)
    for key in section:
        if expected[key] is list:
            section.texts(key)
    try:
        checks.ports(section.get("ports", ""))
    except ValueError as error:
        raise BuildError(
            "'ports' is wrong", where=section.where("ports"), hint=str(error)
        ) from None
    for name in section.mapping("environment"):
        if not _VARIABLE.match(name):
            raise BuildError(
                f"{name!r} cannot be the name of a variable",
                where=section["environment"].where(name),
            )
        if name in OF_START:
            raise BuildError(
                f"{name} of a service is always {OF_START[name]}",
                where=section["environment"].where(name),
                hint="a program of the project may set it for those that it starts",
            )
    return section
