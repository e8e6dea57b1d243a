"""Planning: from recipes, a set and an architecture to the steps of each phase, in order.

    sets.yaml ──▶ packages ──────────────────────────┐
    recipes/*.yaml, overrides.yaml ──────────────────┼─order─▶ steps ──▶ Plan
    toolbox.yaml ──▶ the build tools of each ────────┤
    architectures.yaml ──────────────────────────────┘

The files are those of plan/ and of the layers (plan/reading/data.py).

If the product of a set is the first phase, the seed builds it. If it is the second phase, tools
from the first phase build it; the recipes say which tools.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from plan import graph
from plan.compiling import toolchain
from plan.compiling.architecture import Architecture, Machines, load_architecture
from plan.errors import BuildError, nearest
from plan.model import PHASES, SYSROOT_FROM_SEED, Recipe, Step
from plan.reading.changes import AS_TOOL, CROSSED, FOR_APP
from plan.reading.data import ARCHITECTURES, Data
from plan.reading.keys import DEVEL
from plan.reading.overrides import Overrides, load_overrides
from plan.steps.maker import Maker
from plan.steps.plan import Plan
from plan.steps.sets import Set, load_set
from plan.steps.toolbox import lacking_tools, load_image_tools, load_tools, seed_tools, unbuildable

Phases = Mapping[str, Mapping[str, Step]]


def make_plan(
    data: Path | Data,
    *,
    set_name: str,
    arch_name: str,
    build_name: str = "",
    seed: toolchain.Tools | None = None,
    added: Sequence[str] = (),
    loader: str = "",
    overrides: Path | None = None,
) -> Plan:
    """The plan of the set `set_name` for `arch_name`, from `data`: plan/ alone, if it is a path.

    `build_name`: the architecture that the steps run on, if it differs. `added`: packages in
    addition to the set's. `loader`: the package that starts the kernel, if the firmware does not.
    `overrides`: the overrides file, if it exists.

    `seed`: the tools of the seed; None means a root like the seed debian. A seed that this project
    built needs no first phase: it is the result of that phase. Tools that the seed lacks are built
    in the first phase, before the packages that need them. Raises BuildError if a file is wrong.
    """
    data = data if isinstance(data, Data) else Data(data)
    toolbox = data / "toolbox.yaml"
    seed = seed or seed_tools(data.seeds, "", build_name or arch_name)
    changes = load_overrides(data, overrides)
    machines = load_machines(data, build_name or arch_name, arch_name)
    complete = load_set(data, set_name, changes.recipes)
    every = (*complete.added, *added, *data.made)
    last = complete.phase
    made = changes.made(last, *variants(last, last, machines, data.app))
    recipes = _laid_over(made, complete, data)
    without = _without(complete, machines.target, toolbox, recipes, seed)
    depends = _depends(recipes)
    chosen = _packed(_fitted(complete, every, recipes, without), every, added, depends)
    chosen = _loaded(chosen, loader, without)
    wanted = _ordered(chosen, depends)
    chosen = _slimmed(chosen, [recipes[name] for name in wanted])
    _check(chosen, wanted, recipes, machines.target)
    if chosen.root:
        _check_root(
            chosen, wanted, machines, graph.order(load_image_tools(toolbox, recipes), depends)
        )
    names = data.names(ARCHITECTURES)
    packed = {chosen.kernel: chosen.initramfs}
    product = Maker(recipes, depends, machines, names, chosen.phase, packed, seed, {})
    if chosen.phase == SYSROOT_FROM_SEED or not seed.compiler:
        phases, imaging = _one(product, wanted, toolbox)
    else:
        phases, imaging = _both(product, chosen, wanted, toolbox, changes)
    return Plan(
        set=chosen,
        machines=machines,
        recipes=recipes,
        phases=phases,
        overridden=changes.touched(chosen.phase, wanted),
        override_files=tuple(changes.files),
        wanted=tuple(wanted),
        imaging=imaging,
        without={name: without[name] for name in complete.packages if name not in wanted},
        layers=data.layers,
        app=data.app.name if data.app else "",
        app_section=(data.app.checkout if data.app else None) or {},
        layered={name: layer for name in recipes if (layer := data.layer_of(name))},
    )


def load_machines(data: Data, build: str, target: str) -> Machines:
    """The architectures of these names in `data`. Raises BuildError."""

    def found(name: str) -> Architecture:
        file = data.defining(ARCHITECTURES, name)
        return load_architecture(name, file, data.shown(file))

    own = found(build)
    return Machines(own, own if target == build else found(target))


def variants(phase: str, last: str, machines: Machines, app: object) -> list[str]:
    """The changes that recipes have themselves in `phase` of a product of the phase `last`."""
    if phase != last:
        # A compiler that is to emit code for the target must know it.
        return [] if machines.crossed else [AS_TOOL]
    return [*([CROSSED] if machines.crossed else []), *([FOR_APP] if app else [])]


def _laid_over(recipes: Mapping[str, Recipe], chosen: Set, data: Data) -> Mapping[str, Recipe]:
    """`recipes`; the trees of layers come after the package that lays out the directories."""
    first = chosen.packages[:1]
    trees = {name: replace(recipes[name], depends=first) for name in data.trees}
    return {**recipes, **trees} if trees else recipes


def _without(
    chosen: Set,
    target: Architecture,
    toolbox: Path,
    recipes: Mapping[str, Recipe],
    seed: toolchain.Tools,
) -> dict[str, str]:
    """Package that a product for `target` cannot have → the reason."""
    # A product of two phases builds itself: it must have the tools that the seed lacks.
    by_seed = chosen.phase == SYSROOT_FROM_SEED
    return {**target.without, **(unbuildable(toolbox, recipes, seed) if by_seed else {})}


def _one(product: Maker, wanted: Sequence[str], toolbox: Path) -> tuple[Phases, tuple[str, ...]]:
    """The product's phase alone: the seed builds it, and makes the image too."""
    crossed = product.machines.crossed
    own = lacking_tools(toolbox, product.recipes, product.seed, wanted, crossed=crossed)
    return {product.phase: replace(product, tools=own).steps(wanted)}, ()


def _both(
    product: Maker, chosen: Set, wanted: Sequence[str], toolbox: Path, changes: Overrides
) -> tuple[Phases, tuple[str, ...]]:
    """Both phases of the set `chosen`, and the packages of the first that make a crossed image.

    The second phase is built by `product` and the results of the first.
    """
    machines = product.machines
    own = variants(SYSROOT_FROM_SEED, product.phase, machines, None)
    seeded = changes.made(SYSROOT_FROM_SEED, *own)
    depends = _depends(seeded)
    tools = _tools(toolbox, chosen, product.recipes, wanted, depends, machines.target)
    draws = machines.crossed and chosen.root
    imaging = graph.order(load_image_tools(toolbox, seeded), depends) if draws else ()
    built_first = graph.order(chain(*tools.values(), imaging), depends)
    # The tools run on the build architecture, whatever their target is.
    first = replace(
        product,
        recipes=seeded,
        depends=depends,
        machines=Machines(machines.build, machines.build),
        phase=SYSROOT_FROM_SEED,
        initramfs={},
        tools=lacking_tools(toolbox, seeded, product.seed, built_first),
    )
    second = replace(product, seed=toolchain.Tools(None), tools=tools)
    phases = zip(PHASES, (first.steps(built_first), second.steps(wanted)), strict=True)
    return dict(phases), tuple(imaging)


def _fitted(
    chosen: Set, added: Sequence[str], recipes: Mapping[str, Recipe], without: Collection[str]
) -> Set:
    """The set with the packages `added`, without those that `target` cannot have."""
    for name in added:
        if name not in recipes:
            raise BuildError(
                f"there is no recipe {name!r}", where="with=", hint=nearest(name, recipes)
            )
    inside = chosen.initramfs
    kept = tuple(name for name in inside.packages if name not in without)
    return replace(
        chosen,
        packages=(*(name for name in chosen.packages if name not in without), *added),
        initramfs=replace(inside, packages=kept),
    )


def _packed(
    chosen: Set, added: Sequence[str], asked: Sequence[str], depends: Mapping[str, Sequence[str]]
) -> Set:
    """The set with the packages `added`, and what only they need, in its initramfs.

    asked: those of with=. A set with a root partition has them there.
    """
    if chosen.root or not added:
        return chosen
    before = chosen.packages[: len(chosen.packages) - len(added)]
    there = graph.order(before, depends)
    own = [name for name in graph.order(added, depends) if name not in there]
    for name in own:
        if chosen.kernel in graph.order([name], depends):
            raise BuildError(
                f"{name} depends on {chosen.kernel}, whose initramfs contains it",
                where=chosen.file if name in chosen.added else "with=" if name in asked else None,
                hint=f"remove {chosen.kernel} from its dependencies: it is built before "
                f"{chosen.kernel}",
            )
    inside = chosen.initramfs
    packages = tuple(dict.fromkeys((*inside.packages, *own)))
    return replace(chosen, initramfs=replace(inside, packages=packages))


def _slimmed(chosen: Set, recipes: Sequence[Recipe]) -> Set:
    """The set without what only compiling needs in its image, if it wants none of that."""
    if chosen.devel:
        return chosen
    globs = (*DEVEL, *chain(*(recipe.devel for recipe in recipes)))
    if chosen.root:
        return replace(chosen, exclude=tuple(dict.fromkeys((*chosen.exclude, *globs))))
    inside = chosen.initramfs
    left = tuple(dict.fromkeys((*inside.exclude, *globs)))
    return replace(chosen, initramfs=replace(inside, exclude=left))


def _loaded(chosen: Set, loader: str, without: Mapping[str, str]) -> Set:
    """The set with the package `loader`, if it has a kernel to start.

    Raises BuildError if the package cannot be built.
    """
    if not loader or not chosen.kernel:
        return chosen
    if loader in without:
        raise BuildError(
            f"the package {loader} cannot be built: {without[loader]}",
            where="loader=",
            hint="loader=none: the firmware starts the kernel",
        )
    return replace(chosen, packages=(*chosen.packages, loader), loader=loader)


def _ordered(chosen: Set, depends: Mapping[str, Sequence[str]]) -> list[str]:
    """The packages of the set in build order: the kernel after those in its initramfs."""
    found = graph.order(chosen.packages, depends)
    if chosen.kernel not in found:
        return found
    inside = [name for name in chosen.initramfs.packages if name in found]
    more = {chosen.kernel: (*depends[chosen.kernel], *inside)}
    return graph.order(chosen.packages, {**depends, **more})


def _check(
    chosen: Set, wanted: Sequence[str], recipes: Mapping[str, Recipe], target: Architecture
) -> None:
    """Raise BuildError for a package that `target` cannot have, or a wrong initramfs."""
    for name in wanted:
        # A style may have the name of its compiler.
        needed = recipes[name].style if recipes[name].style in target.without else name
        if needed in target.without:
            raise BuildError(
                f"{name} does not exist for {target.name}: {target.without[needed]}",
                where="plan/architectures.yaml",
                hint="remove the packages that depend on it",
            )
    for name in chosen.initramfs.packages:
        if name not in wanted:
            raise BuildError(
                f"the initramfs of the set {chosen.name} contains {name}, which is not in the set",
                where=chosen.file,
                hint=f"add {name} to the set's packages",
            )


def _check_root(
    chosen: Set, wanted: Collection[str], machines: Machines, tools: Sequence[str]
) -> None:
    """Raise BuildError if nothing can write the root partition: the packages `tools` do it."""
    if machines.crossed:
        if chosen.phase == SYSROOT_FROM_SEED:
            raise BuildError(
                f"the set {chosen.name} has a root partition, which no program of the build "
                "machine could write for another architecture",
                where=chosen.root_at,
                hint=f"remove `root`, or give the set the phase {PHASES[-1]}",
            )
    elif lacking := [name for name in tools if name not in wanted]:
        raise BuildError(
            f"the set {chosen.name} has a root partition, but lacks {', '.join(lacking)}",
            where=chosen.root_at,
            hint="add them to its packages: they write the partition (`image` in "
            "plan/toolbox.yaml); or remove `root`",
        )


def _tools(
    toolbox: Path,
    chosen: Set,
    recipes: Mapping[str, Recipe],
    wanted: Sequence[str],
    before: Mapping[str, Sequence[str]],
    target: Architecture,
) -> dict[str, tuple[str, ...]]:
    """Package of `wanted` → all packages of the first phase that must precede it, in order."""
    named = load_tools(toolbox, recipes)
    tools = {name: tuple(graph.order(named[name], before)) for name in wanted}
    needed = graph.order(chain(*tools.values()), before)
    if lacking := [name for name in needed if name not in wanted]:
        reasons = [f"no {name} for {target.name}: {why}" for name, why in target.without.items()]
        raise BuildError(
            f"the set {chosen.name} cannot build itself: it lacks {', '.join(lacking)}",
            where=chosen.file,
            hint="\n  ".join(["add the missing build tools to the set", *reasons]),
        )
    return tools


def _depends(recipes: Mapping[str, Recipe]) -> dict[str, tuple[str, ...]]:
    return {name: recipe.depends for name, recipe in recipes.items()}
