"""The wheels that ./bq2 installs, as sources: a bundle carries them.

plan/wheels.yaml ──any, <machine>──▶ Sources, whose hashes are those of requirements.txt
"""

from __future__ import annotations

from pathlib import Path

from plan.errors import BuildError, nearest
from plan.model import Source
from plan.reading.recipes import listed_sources
from plan.yamlfile import load


def load_wheels(path: Path, machine: str) -> tuple[Source, ...]:
    """The wheels for a `machine` ("x86_64"), for every Python and C library.

    Raises BuildError with file and line, or if there are none for this machine.
    """
    table = load(path, shown_as="plan/wheels.yaml")
    for key in table:
        if not isinstance(table[key], list):
            raise BuildError(f"{key!r} must be a list", where=table.where(key))
    if machine not in table or machine == "any":
        raise BuildError(
            f"there are no wheels for {machine}",
            where="plan/wheels.yaml",
            hint=nearest(machine, table.keys() - {"any"}),
        )
    return listed_sources(table, "any") + listed_sources(table, machine)
