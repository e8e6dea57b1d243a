"""The sets: the systems that can be built, from plan/sets.yaml, checked."""

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
    """A named list of packages, and those whose trees the initramfs holds."""

    name: str
    phase: str
    packages: tuple[str, ...]
    exclude: tuple[str, ...]
    """Globs of files that are in artifacts but not in the products."""
    root: bool
    """Whether the image has a partition with the packages; if not, it is only an initramfs."""
    root_at: str
    """The "file:line" that says so."""
    kernel: str
    """The package that contains the initramfs and that the firmware starts; "" if there is none."""
    initramfs: Initramfs
    loader: str = ""
    """The package of the program that the firmware starts, and that starts the kernel, if any."""


def load_set(path: Path, name: str, recipes: Collection[str]) -> Set:
    """The set `name` of plan/sets.yaml. Raises BuildError if it names an unknown package."""
    sets = load(path, shown_as="plan/sets.yaml")
    if name not in sets:
        raise BuildError(f"unknown set {name!r}", where="plan/sets.yaml", hint=nearest(name, sets))
    table: Table = sets[name]
    table.expect(kinds(SET), required(SET))
    inside: Table = table.get("initramfs", Table(table.file, table.line))
    inside.expect(kinds(INITRAMFS), required(INITRAMFS) if inside else ())
    if table["phase"] not in PHASES:
        raise BuildError(
            f"there is no phase {table['phase']!r}",
            where=table.where("phase"),
            hint=nearest(table["phase"], PHASES),
        )
    check_packages(table, "packages", recipes)
    check_packages(inside, "packages", recipes)
    kernel = inside.get("kernel", "")
    if kernel and kernel not in table["packages"]:
        raise BuildError(
            f"the kernel {kernel!r} is not one of the packages",
            where=inside.where("kernel"),
            hint=nearest(kernel, table["packages"]),
        )
    initramfs = Initramfs(inside.texts("packages"), inside.texts("exclude"))
    return Set(
        name=name,
        phase=table["phase"],
        packages=table.texts("packages"),
        exclude=table.texts("exclude"),
        root=table.get("root", False),
        root_at=table.where("root"),
        kernel=kernel,
        initramfs=initramfs,
    )
