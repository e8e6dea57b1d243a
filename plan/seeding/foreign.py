"""Packages of another architecture in a seed, as data.

plan/seeds/debian.yaml, alpine.yaml ──`foreign: crystal.yaml`──▶ load_foreign ──▶ Foreign
    its packages are those of debian-<its architecture>.lock.yaml
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from plan.errors import BuildError
from plan.seeding.tables import contents, reasoned
from plan.yamlfile import Table, load


@dataclass(frozen=True)
class Foreign:
    """Packages of the seed `debian` for machines of `architecture`, by name.

    emulated: files (path, text) that come with them, if the seed is for another architecture.
    """

    architecture: str
    packages: tuple[str, ...]
    emulated: tuple[tuple[str, str], ...]


def load_foreign(own: Table, directory: Path, arch: str) -> Foreign | None:
    """The foreign packages that a seed for machines of `arch` names in its table `own`.

    directory: where the seed's file is. None if it names no file. Raises BuildError.
    """
    name = own.get("foreign", "")
    if not name:
        return None
    if "/" in name or not (directory / name).is_file():
        raise BuildError(f"there is no file {name} beside this one", where=own.where("foreign"))
    table = load(directory / name)
    kinds = {"architecture": str, "packages": dict, "emulated": dict}
    table.expect(kinds, required=("architecture", "packages"))
    emulated = contents(table, "emulated") if table["architecture"] != arch else ()
    return Foreign(table["architecture"], reasoned(table, "packages"), emulated)
