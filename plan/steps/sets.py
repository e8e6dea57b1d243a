"""The sets: the systems that can be built, from plan/sets.yaml and from layers, checked."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from plan.errors import BuildError, nearest
from plan.model import PHASES, Initramfs
from plan.reading.data import SETS, Data
from plan.reading.keys import INITRAMFS, SET, kinds, required
from plan.steps.toolbox import check_packages
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
    file: str = "plan/sets.yaml"
    """The file that defines it, for messages."""
    added: tuple[str, ...] = ()
    """The packages that it adds to the set that it extends."""
    devel: bool = True
    """Whether its image has what only compiling needs."""
    loader: str = ""
    """The package of the program that the firmware starts, and that starts the kernel, if any."""


def load_set(data: Data, name: str, recipes: Collection[str], above: tuple[str, ...] = ()) -> Set:
    """The set `name` of a sets.yaml in `data`; the sets `above` extend it.

    Raises BuildError if it names an unknown package.
    """
    path = data.defining(SETS, name)
    sets = load(path, shown_as=data.shown(path))
    sets.expect(dict.fromkeys(sets, dict))
    if name not in sets:
        hint = nearest(name, data.names(SETS))
        raise BuildError(f"unknown set {name!r}", where=data.shown(path), hint=hint)
    table: Table = sets[name]
    if "extends" in table:
        return _extended(data, name, table, recipes, above)
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
    if kernel and kernel in inside.texts("packages"):
        raise BuildError(
            f"the kernel {kernel!r} cannot be in its own initramfs", where=inside.where("packages")
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
        file=table.file,
        devel=table.get("devel", True),
    )


def _extended(
    data: Data, name: str, table: Table, recipes: Collection[str], above: tuple[str, ...]
) -> Set:
    """The set `name`, which adds packages to another one, as `with` does."""
    keys = ("extends", "packages")
    table.expect({key: SET[key].kind for key in (*keys, "devel")}, keys)
    check_packages(table, "packages", recipes)
    base = table["extends"]
    if base in (name, *above):
        way = " → ".join((*above[above.index(base) if base in above else len(above) :], name, base))
        raise BuildError(
            f"a set cannot extend itself: {way}",
            where=table.where("extends"),
            hint="give it another name, or name all its packages",
        )
    if base not in data.names(SETS):
        raise BuildError(
            f"there is no other set {base!r}",
            where=table.where("extends"),
            hint=nearest(base, data.names(SETS)),
        )
    found = load_set(data, base, recipes, (*above, name))
    added = (*found.added, *table.texts("packages"))
    devel = table.get("devel", found.devel)
    return replace(found, name=name, file=table.file, added=added, devel=devel)
