"""What is built as a whole: plan/sets.yaml, checked."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from plan.errors import BuildError, nearest
from plan.keys import INITRAMFS, SET, kinds, required
from plan.model import PHASES, Initramfs
from plan.toolbox import check_packages
from plan.yamlfile import Table, load


@dataclass(frozen=True)
class Set:
    """A named choice of packages, and which of their trees the initramfs holds."""

    name: str
    phase: str
    packages: tuple[str, ...]
    leave: tuple[str, ...]
    """Globs of what the products do not hold, though artifacts do."""
    root: bool
    """Whether the image has a partition that holds the packages, or the initramfs is all."""
    initramfs: Initramfs


def load_set(path: Path, name: str, recipes: Collection[str]) -> Set:
    """The set `name` of plan/sets.yaml. Raises BuildError for an unknown package in it."""
    sets = load(path, shown_as="plan/sets.yaml")
    if name not in sets:
        raise BuildError(f"unknown set {name!r}", where="plan/sets.yaml", hint=nearest(name, sets))
    table: Table = sets[name]
    table.expect(kinds(SET), required(SET))
    inside: Table = table["initramfs"]
    inside.expect(kinds(INITRAMFS), required(INITRAMFS))
    if table["phase"] not in PHASES:
        raise BuildError(
            f"there is no phase {table['phase']!r}",
            where=table.where("phase"),
            hint=nearest(table["phase"], PHASES),
        )
    check_packages(table, "packages", recipes)
    check_packages(inside, "packages", recipes)
    initramfs = Initramfs(inside.texts("packages"), inside.texts("leave"))
    return Set(
        name=name,
        phase=table["phase"],
        packages=table.texts("packages"),
        leave=table.texts("leave"),
        root=table.get("root", False),
        initramfs=initramfs,
    )
