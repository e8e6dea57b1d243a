"""outdated, bump: compare the recipes' versions with Debian's, and take a newer one.

    doit outdated                signed index of suite= ──▶ a line a package: ours, theirs
    doit bump pkg:zlib           signed index ──▶ tarball, verified ──▶ plan/recipes/zlib.yaml

Debian has upstream's own tarballs of nearly all packages, and signs their hashes. Packages that
Debian lacks, or whose tarballs Debian changed, must be edited by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from plan.errors import BuildError, nearest
from plan.model import Recipe, Source
from plan.outputs import write_file
from plan.reading.recipes import load_recipes
from plan.typed import typed
from plan.versions import order
from plan.writing.pins import DEBIAN, Tarball, bumped, by_hand, owners, pin, why_unpinned
from tasks.actions import DoitTask, speaking
from tasks.console.console import say
from tasks.engine.project import Project

if TYPE_CHECKING:
    from cache.source_index import SourceIndex

# The suite whose files the pool keeps after `suite=` has newer ones.
BEFORE = "oldstable"
NEWER = "newer"


def task_outdated(project: Project) -> DoitTask:
    """compare the recipes' versions with Debian's; suite=, packages=a,b

    outdated packages=zlib,musl
    """
    return {"actions": [(speaking(_outdated), [project])]}


def task_bump(project: Project) -> DoitTask:
    """update the recipe of pkg:NAME to the newer source in Debian

    bump pkg:zlib             then build it: pkg:zlib
    """
    return {"actions": [(speaking(_bump), [project])], "pos_arg": "words"}


def _outdated(project: Project) -> None:
    recipes, owner = load_recipes(project.data), owners(project.data)
    names = [_known(recipes, name).name for name in project.settings.packages] or list(recipes)
    pins = {name: found for name in names if (found := pin(recipes[owner[name]]))}
    index = _index(project, "outdated", {found.package for found in pins.values()})
    behind = []
    for name in names:
        theirs = _theirs(project, recipes[name], owner[name], pins.get(name), index)
        say(f"{name:<17} {recipes[name].version:<12} {theirs}")
        if theirs.endswith(NEWER):
            behind.append(name)
    _warn(project, {owner[name]: found for name, found in pins.items()}, index)
    if not project.settings.packages:
        _warn_of_seed(project)
    told = ": " + ", ".join(behind) if behind else ""
    say(f"{len(behind)} of {len(names)} have a newer version{told}")


def _theirs(
    project: Project, recipe: Recipe, owner: str, ours: Tarball | None, index: SourceIndex
) -> str:
    """Debian's version of `recipe`, in a few words."""
    if owner != recipe.name:
        return f"as {owner}"
    if ours is None:
        return why_unpinned(recipe)
    found = index.newest.get(ours.package)
    if found is None:
        return f"not in {project.settings.suite}"
    # A recipe can be a part of another package's tarball, with its own version.
    shown = (
        found.version if ours.version == recipe.version else f"in {found.package} {found.version}"
    )
    if order(found.version) == order(ours.version):
        return shown
    newer = order(found.version) > order(ours.version)
    return f"{shown:<12} {NEWER if newer else 'older'}"


def _warn(project: Project, pins: dict[str, Tarball], index: SourceIndex) -> None:
    """Warn of pinned files that the archive may remove soon, or has with another hash."""
    for suite, reason in index.missing.items():
        say(f"WARNING  {suite} was not checked: {reason}")
    hashes = dict(index.hashes)
    lost = {found.package for found in pins.values() if found.path not in hashes}
    if lost:
        try:
            hashes |= _index(project, "outdated", lost, BEFORE).hashes
        except BuildError as error:
            say(f"WARNING  {BEFORE} was not checked: {error.message}")
    for name, found in pins.items():
        if found.path not in hashes:
            say(f"WARNING  {found.file} of {name} is no longer in the archive's index")
        elif hashes[found.path] != found.sha256:
            say(f"WARNING  {found.file} of {name} has another sha256 in the archive's index")


def _warn_of_seed(project: Project) -> None:
    """Warn of packages of the seed that Debian's index no longer lists."""
    seed = project.seed
    departed = seed.departed(project.settings.mirror or "")
    if departed:
        say(
            f"WARNING  {len(departed)} of {len(seed.debs)} packages of the seed are no longer "
            f"in Debian's index: {', '.join(departed)}"
        )
        say(f"         snapshot.debian.org keeps them; {typed('lock')} pins the current ones")


def _bump(project: Project, words: list[str]) -> None:
    if len(words) != 1:
        raise BuildError("bump takes exactly one package", hint=typed("bump pkg:NAME"))
    # As they are written, without overrides.
    recipes, owner = load_recipes(project.data), owners(project.data)
    asked = _known(recipes, words[0].removeprefix("pkg:")).name
    recipe = recipes[owner[asked]]
    if recipe.name != asked:
        say(f"{asked} uses the source of {recipe.name}, so that recipe is bumped")
    ours = pin(recipe)
    if ours is None:
        raise by_hand(recipe, f"cannot be bumped: {why_unpinned(recipe)}")
    suite = project.settings.suite
    new = _index(project, "bump", {ours.package}).newest.get(ours.package)
    if new is None:
        raise by_hand(recipe, f"Debian {suite} has no {ours.package}")
    if order(new.version) <= order(ours.version):
        say(f"{recipe.name} {recipe.version}: Debian {suite} has nothing newer ({new.version})")
        return
    _take(project, recipe, new, [recipes[name] for name in owner if owner[name] == recipe.name])


def _take(project: Project, recipe: Recipe, new: Tarball, sharers: Sequence[Recipe]) -> None:
    """Fetch `new`, then write it into the recipe, and its version into those of `sharers` that have
    the same one.
    """
    from plan.writing.rewrite import set_value, text_of
    from tasks.engine.sources import fetch_now

    path = _path(project, recipe.name)
    text = bumped(text_of(path), recipe, new)
    fetch_now(project, [Source(new.sha256, new.size, new.file, (f"{DEBIAN}{new.path}",))])
    # Write the owner last: after an interruption, the next run does everything again.
    for sharer in sharers:
        if sharer.name != recipe.name and sharer.version == recipe.version:
            other = _path(project, sharer.name)
            write_file(other, set_value(text_of(other), ("version",), new.version))
            say(f"{project.data.shown(other)}: {sharer.version} -> {new.version}")
    write_file(path, text)
    say(f"{project.data.shown(path)}: {recipe.version} -> {new.version}, {new.file}")
    for place in recipe.sources[0].urls:
        if not place.startswith(DEBIAN):
            say(f"  {place} contains the version and was changed too, but not tested")
    say(f"  build it: {typed(f'pkg:{recipe.name}')}")


def _index(project: Project, task: str, wanted: Iterable[str], suite: str = "") -> SourceIndex:
    """What the machine's Debian archives offer of the source packages `wanted`."""
    from cache.places import known_archives
    from cache.source_index import fetch_source_index

    settings = project.settings
    if settings.offline:
        raise BuildError(
            "offline=1, but the versions must be read from Debian's archive",
            hint=typed(f"{task} offline=no"),
        )
    archives = known_archives(settings.mirror or "")
    return fetch_source_index(archives, {*wanted}, suite=suite or settings.suite)


def _known(recipes: Mapping[str, Recipe], name: str) -> Recipe:
    """The recipe `name`. Raises BuildError if there is none."""
    if name not in recipes:
        raise BuildError(f"there is no recipe {name!r}", hint=nearest(name, recipes))
    return recipes[name]


def _path(project: Project, name: str) -> Path:
    return project.data.recipes[name]
