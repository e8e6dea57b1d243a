"""outdated, bump: the recipes' versions beside those of Debian's archive, and the newer one taken.

    doit outdated                signed index of suite= ──▶ a line a package: ours, theirs
    doit bump pkg:zlib           signed index ──▶ tarball, verified ──▶ plan/recipes/zlib.yaml

Debian is asked because it has upstream's own tarballs of nearly all that is built here, and says
of each, signed, which bytes it is. What it has not, or cleaned of something, is edited by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plan.errors import BuildError, nearest
from plan.model import Recipe, Source
from plan.pins import DEBIAN, Tarball, bumped, by_hand, owners, pin, why_unpinned
from plan.recipes import load_recipes
from plan.versions import order
from tasks.console import say, speaking
from tasks.project import project

if TYPE_CHECKING:
    from cache.source_index import SourceIndex

# Whose files the pool still has, when the suite itself has gone on.
BEFORE = "oldstable"
NEWER = "newer"


def task_outdated() -> dict[str, Any]:
    """compare the recipes' versions with those of the Debian suite=; packages=a,b some of them"""
    return {"actions": [(speaking(_outdated),)]}


def task_bump() -> dict[str, Any]:
    """take the newer source that Debian has into the recipe of pkg:NAME"""
    return {"actions": [(speaking(_bump),)], "pos_arg": "words"}


def _outdated() -> None:
    recipes, owner = load_recipes(_folder()), owners(_folder())
    names = [_recipe(name).name for name in project.settings.packages] or list(recipes)
    pins = {name: found for name in names if (found := pin(recipes[owner[name]]))}
    index = _index("outdated", {found.package for found in pins.values()})
    behind = []
    for name in names:
        theirs = _theirs(recipes[name], owner[name], pins.get(name), index)
        say(f"{name:<17} {recipes[name].version:<12} {theirs}")
        if theirs.endswith(NEWER):
            behind.append(name)
    _warn({owner[name]: found for name, found in pins.items()}, index)
    told = ": " + ", ".join(behind) if behind else ""
    say(f"{len(behind)} of {len(names)} could be newer{told}")


def _theirs(recipe: Recipe, owner: str, ours: Tarball | None, index: SourceIndex) -> str:
    """What Debian has of `recipe`, in a few words."""
    if owner != recipe.name:
        return f"as {owner}"
    if ours is None:
        return why_unpinned(recipe)
    found = index.newest.get(ours.package)
    if found is None:
        return f"not in {project.settings.suite}"
    # What another package's tarball brings along has a version of its own.
    shown = (
        found.version if ours.version == recipe.version else f"in {found.package} {found.version}"
    )
    if order(found.version) == order(ours.version):
        return shown
    newer = order(found.version) > order(ours.version)
    return f"{shown:<12} {NEWER if newer else 'older'}"


def _warn(pins: dict[str, Tarball], index: SourceIndex) -> None:
    """Say which pinned file the archive may soon have no more, or has under another hash."""
    for suite, reason in index.missing.items():
        say(f"WARNING  {suite} was not looked at: {reason}")
    hashes = dict(index.hashes)
    lost = {found.package for found in pins.values() if found.path not in hashes}
    if lost:
        try:
            hashes |= _index("outdated", lost, BEFORE).hashes
        except BuildError as error:
            say(f"WARNING  {BEFORE} was not looked at: {error.message}")
    for name, found in pins.items():
        if found.path not in hashes:
            say(f"WARNING  {found.file} of {name} is in the archive's index no more")
        elif hashes[found.path] != found.sha256:
            say(f"WARNING  {found.file} of {name} has another sha256 in the archive's index")


def _bump(words: list[str]) -> None:
    if len(words) != 1:
        raise BuildError("it bumps one package at a time", hint="doit bump pkg:NAME")
    asked = _recipe(words[0].removeprefix("pkg:")).name
    owner = owners(_folder())
    recipe = _recipe(owner[asked])
    if recipe.name != asked:
        say(f"{asked} is built from the source of {recipe.name}: that is bumped")
    ours = pin(recipe)
    if ours is None:
        raise by_hand(recipe, f"cannot be bumped: {why_unpinned(recipe)}")
    suite = project.settings.suite
    new = _index("bump", {ours.package}).newest.get(ours.package)
    if new is None:
        raise by_hand(recipe, f"Debian {suite} has no {ours.package}")
    if order(new.version) <= order(ours.version):
        say(f"{recipe.name} {recipe.version}: Debian {suite} has nothing newer ({new.version})")
        return
    _take(recipe, new, [name for name in owner if owner[name] == recipe.name])


def _take(recipe: Recipe, new: Tarball, names: Sequence[str]) -> None:
    """Fetch `new`, then write it into the recipe, and its version into those that share it."""
    from plan.rewrite import set_value
    from tasks.sources import fetch_now

    path = _path(recipe.name)
    text = bumped(path.read_text(), recipe, new)
    fetch_now([Source(new.sha256, new.size, new.file, (f"{DEBIAN}{new.path}",))])
    # The owner last: if this is interrupted, the next time does all of it.
    for name in names:
        sharer = _recipe(name)
        if name != recipe.name and sharer.version == recipe.version:
            _write(_path(name), set_value(_path(name).read_text(), ("version",), new.version))
            say(f"plan/recipes/{name}.yaml: {sharer.version} -> {new.version}")
    _write(path, text)
    say(f"plan/recipes/{recipe.name}.yaml: {recipe.version} -> {new.version}, {new.file}")
    for place in recipe.sources[0].places:
        if not place.startswith(DEBIAN):
            say(f"  {place} follows the version where it names it; it was not tried")
    say(f"  build it: doit pkg:{recipe.name}")


def _write(path: Path, text: str) -> None:
    from rootfs.files import replacing

    with replacing(path) as file:
        file.write(text.encode())


def _index(task: str, wanted: Iterable[str], suite: str = "") -> SourceIndex:
    """What the machine's Debian archives offer of the source packages `wanted`."""
    from cache.places import known_archives
    from cache.source_index import fetch_source_index

    settings = project.settings
    if settings.offline:
        raise BuildError(
            "offline=1, and only the archive knows what it has", hint=f"doit {task} offline=no"
        )
    archives = known_archives(settings.mirror or "")
    return fetch_source_index(archives, {*wanted}, suite=suite or settings.suite)


def _recipe(name: str) -> Recipe:
    """The recipe as it is written, whatever the overrides make of it."""
    recipes = load_recipes(_folder())
    if name not in recipes:
        raise BuildError(f"there is no recipe {name!r}", hint=nearest(name, recipes))
    return recipes[name]


def _folder() -> Path:
    return project.data / "recipes"


def _path(name: str) -> Path:
    return _folder() / f"{name}.yaml"
