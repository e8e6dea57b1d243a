"""The sources of parameters besides the command line: the environment and local.yaml.

BQ2_NAME ─▶ name; BQ2_SHARED_CACHE ─▶ cache. The other variables that begin with BQ2_ are listed
here; they are no parameters.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from plan.errors import BuildError
from plan.reading.app_section import of_checkout
from plan.yamlfile import Table, load

# Other parts of the project read these before or beside the settings: no parameters.
OTHER_VARIABLES = frozenset({"BQ2_CACHE", "BQ2_FIRMWARE"})
# BQ2_CACHE is the user's own cache; the parameter `cache` names those of other machines.
_SHARED = "BQ2_SHARED_CACHE"


def variable(name: str) -> str:
    """The environment variable of the parameter `name`."""
    return _SHARED if name == "cache" else f"BQ2_{name.upper()}"


def from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The parameters in `environment`, given as BQ2_NAME."""
    return {
        "cache" if name == _SHARED else name.removeprefix("BQ2_").lower(): value
        for name, value in environment.items()
        if name.startswith("BQ2_")
        and not name.startswith("BQ2_TEST_")
        and name not in OTHER_VARIABLES
    }


def from_file(path: Path) -> tuple[Table, Table]:
    """The parameters in the YAML file `path`, if it exists, and what it says of the app.

    `app` is the app's directory, or a section that may name it. Raises BuildError if the file is
    broken.
    """
    # A link to nothing is no file that is missing: load() says so.
    if not os.path.lexists(path):
        return Table("local.yaml", 1), Table("local.yaml", 1)
    table = load(path, shown_as="local.yaml")
    section = table.get("app")
    if isinstance(section, Table):
        directory, section = of_checkout(section)
        del table["app"]
        table |= {"app": directory} if directory else {}
    else:
        section = Table("local.yaml", 1)
    for name in table:
        if not isinstance(table[name], str):
            what = "a directory, or a mapping" if name == "app" else "a plain value"
            raise BuildError(f"{name!r} must be {what}", where=table.where(name))
    return table, section
