"""Where the authored data come from: the directory plan/ of this project, then each layer in order.

    plan/recipes/a.yaml    ─┐            ┌─▶ recipes      name → its file
    plan/sets.yaml         ─┼─▶ Data ────┼─▶ defining     the file that has a set or an architecture
    LAYER/recipes/b.yaml   ─┤            ├─▶ seeds        one directory, as it seems
    LAYER/sets.yaml        ─┘            └─▶ layer_of     who says it

A layer adds files. If it replaces something of the project, or of an earlier layer, `replaces` in
its layer.yaml must name that. No loader needs to know of layers: it asks here for its files.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from plan.errors import BuildError, nearest
from plan.reading import licenses
from plan.reading.app import LIBRARIES, SHARD, App, is_layer, load_app
from plan.reading.keys import LICENSES, kinds
from plan.reading.layer import FILES, PARTS, Layer, load_layer
from plan.yamlfile import Table, load, top_keys

SETS, ARCHITECTURES, WORDS = "sets.yaml", "architectures.yaml", "licenses.yaml"
SERVICE = "program"
"""Below plan/: what makes a program a service."""
FOLDERS = "folders"
"""Where a product and a bundle have the folders that are sources, below this project."""
NAMED = (SETS, ARCHITECTURES)
"""The files whose top keys are names."""


class Directory(Protocol):
    """A directory, or several that seem one."""

    def __truediv__(self, name: str, /) -> Path: ...

    def glob(self, pattern: str, /) -> Iterable[Path]: ...


@dataclass(frozen=True)
class Data:
    """The authored data in `own`, the directory plan/, in `layers`, and of `app`.

    `load_data` checks them.
    """

    own: Path
    layers: tuple[Layer, ...] = ()
    app: App | None = None

    def __truediv__(self, name: str) -> Path:
        """The file `name` of this project, or of the last layer that has it as one of its parts."""
        layers = reversed(self.layers) if name.partition("/")[0] in PARTS else ()
        found = (layer.path / name for layer in layers)
        return next((path for path in found if path.exists()), self.own / name)

    def names(self, file: str) -> tuple[str, ...]:
        """The names that `file` (sets.yaml or architectures.yaml) defines, here and in layers."""
        return tuple(dict.fromkeys(name for path in self._all(file) for name in top_keys(path)))

    def defining(self, file: str, name: str) -> Path:
        """The file that defines `name`: the last `file` with it, or else this project's."""
        found = (path for path in reversed(self._all(file)) if name in top_keys(path))
        return next(found, self.own / file) if self.layers else self.own / file

    def _all(self, file: str) -> list[Path]:
        places = (self.own, *(layer.path for layer in self.layers))
        return [place / file for place in places if (place / file).exists()]

    @cached_property
    def recipes(self) -> Mapping[str, Path]:
        """The file of each recipe, by name: this project's first."""
        places = (self.own, *(layer.path for layer in self.layers))
        return {path.stem: path for place in places for path in _tables(place / "recipes")}

    def file_of(self, recipe: str) -> Path:
        """The file that has the recipe; of the app it is its shard.yml. Raises KeyError."""
        if self.app and recipe == self.app.name:
            return self.app.path / SHARD
        return self.recipes[recipe]

    def files_of(self, recipe: str) -> Path:
        """The directory with the files of the recipe; it may not exist."""
        if layer := self.trees.get(recipe):
            return layer.path
        if self.app and recipe == self.app.name:
            return self.own / SERVICE
        file = self.recipes.get(recipe, self.own / "recipes" / f"{recipe}.yaml")
        return file.with_name(recipe)

    def folder(self, recipe: str, path: str) -> Path:
        """The folder `path` that is a source of the recipe: relative to the recipe's directory.

        In a product and in a bundle it is `folders/RECIPE` of this project: there, `path` may be
        another directory.
        """
        packed = self.own.parent / FOLDERS / recipe
        file = self.recipes.get(recipe, self.own / "recipes" / recipe)
        return packed if packed.is_dir() else Path(os.path.realpath(file.parent / path))

    @cached_property
    def trees(self) -> Mapping[str, Layer]:
        """The package of each layer with a tree, in order: it lays the tree over the root."""
        return {
            f"{layer.name}-files": layer
            for layer in self.layers
            if layer.links or (layer.path / FILES).is_dir()
        }

    def layer_of(self, recipe: str) -> Layer | None:
        """The layer that the recipe comes from; None if it is this project's."""
        place = self.app.path if self.app and recipe == self.app.name else None
        file = self.recipes.get(recipe)
        if file:
            place = file.parents[1]
        own = (each for each in self.layers if each.path == place)
        return self.trees.get(recipe) or next(own, None)

    @property
    def made(self) -> tuple[str, ...]:
        """The packages that are added to every set: the trees of the layers, and the app."""
        return (*self.trees, *([self.app.name] if self.app else []))

    @property
    def seeds(self) -> Directory:
        """The files of the seeds."""
        return _Below(self, "seeds") if self.layers else self.own / "seeds"

    @cached_property
    def licenses(self) -> Mapping[str, frozenset[str]]:
        """The SPDX identifiers that layers add: "license" and "exception" → identifiers."""
        found = {"license": set[str](), "exception": set[str]()}
        for layer in self.layers:
            if (file := layer.path / WORDS).exists():
                table = load(file)
                table.expect(kinds(LICENSES))
                for kind, words in found.items():
                    words.update(_identifiers(table, f"{kind}s"))
        return {kind: frozenset(words) for kind, words in found.items()}

    def shown(self, path: Path) -> str:
        """`path` for messages: "plan/…" in this project, a whole path in a layer."""
        inside = path.is_relative_to(self.own)
        return os.fspath("plan" / path.relative_to(self.own) if inside else path)


@dataclass(frozen=True)
class _Below:
    """The directories `name` of `data`, as one."""

    data: Data
    name: str

    def __truediv__(self, name: str) -> Path:
        return self.data / f"{self.name}/{name}"

    def glob(self, pattern: str) -> Iterator[Path]:
        names = {path.name for place in self.data._all(self.name) for path in place.glob(pattern)}
        return (self / name for name in sorted(names))


def load_data(
    own: Path,
    layers: Sequence[Path] = (),
    app: Path | None = None,
    checkout: Table | None = None,
) -> Data:
    """The data in the directory plan/ at `own`, in the directories `layers`, and of the app `app`.

    checkout: what local.yaml says of the app.
    Raises BuildError if a layer or the app is wrong, or replaces something without a word.
    """
    data = Data(own)
    for path in (*layers, *([app] if app and is_layer(app) and app not in layers else [])):
        layer = load_layer(path)
        if layer.path in (each.path for each in data.layers):
            raise BuildError("this layer is given twice", where=f"layer={path}")
        if layer.name in (each.name for each in data.layers):
            raise BuildError(
                f"two layers have the name {layer.name}",
                where=f"layer={path}",
                hint="give one of them another `name` in its layer.yaml",
            )
        _check_replaced(data, layer)
        data = Data(own, (*data.layers, layer))
    if app:
        libraries = load(data / LIBRARIES)
        libraries.expect(dict.fromkeys(libraries, str))
        data = Data(own, data.layers, load_app(app, libraries, checkout))
    for name in data.trees:
        if name in data.recipes:
            raise BuildError(
                f"the files of a layer are the package {name}, so no recipe can have this name",
                where=data.shown(data.recipes[name]),
            )
    if data.app and (name := data.app.name) in (*data.recipes, *data.trees, *_services(data)):
        what = "package" if name in (*data.recipes, *data.trees) else "service of the machine"
        raise BuildError(
            f"there is a {what} {name} already",
            where=data.app.table.where("name"),
            hint="give the project another name",
        )
    return data


def _services(data: Data) -> set[str]:
    """The services that the machine has without an app, by the files of the recipes."""
    scripts = (data.files_of("init") / "etc" / "service").glob("*")
    return {*(path.name for path in scripts), "fossil"}


def _check_replaced(before: Data, layer: Layer) -> None:
    """Raise BuildError if `layer` and its `replaces` do not agree on what is `before` it."""
    known, own = _defined(before), _defined(Data(layer.path))
    for name, path in own.items():
        if name in known and name not in layer.replaces:
            raise BuildError(
                f"{before.shown(known[name])} defines {name} already",
                where=os.fspath(path),
                hint=f"give it another name, or write `replaces: [{name}]` into "
                f"{layer.path / 'layer.yaml'}",
            )
    for name in before.recipes:
        if name not in own and (files := layer.path / "recipes" / name).is_dir():
            raise BuildError(
                f"nothing reads these files: the recipe {name} is not of this layer",
                where=os.fspath(files),
                hint=f"copy {name}.yaml and its files here, and write `replaces: [{name}]` into "
                "layer.yaml; or change it by overrides.yaml (docs/reference.md)",
            )
    for files in sorted((layer.path / "recipes").glob("[!.]*/")):
        if (name := files.name) not in (*own, *before.recipes, "__pycache__"):
            raise BuildError(
                f"nothing reads these files: there is no recipe {name}",
                where=os.fspath(files),
                hint=nearest(name, own),
            )
    for name in layer.replaces:
        if name not in known or name not in own:
            lacking = "this layer does not have" if name in known else "nothing before it has"
            added = name in own and "remove it from `replaces`: the layer adds it"
            raise BuildError(
                f"the layer {layer.name} replaces {name!r}, which {lacking}",
                where=layer.replaces_at,
                hint=added or nearest(name, own if name in known else known),
            )


def _identifiers(table: Table, key: str) -> tuple[str, ...]:
    """The identifiers of `key`. Raises BuildError for what can be no word of an expression."""
    words = table.texts(key)
    for word in words:
        if not licenses.IDENTIFIER.fullmatch(word):
            raise BuildError(
                f"{word!r} is no identifier of SPDX",
                where=table.where(key),
                hint="it has letters, digits, - and .: BSD-4-Clause",
            )
    return words


def _defined(data: Data) -> dict[str, Path]:
    """The names of recipes, sets and architectures and the files of seeds, with their files."""
    found = dict(data.recipes)
    for file in NAMED:
        found |= {name: data.defining(file, name) for name in data.names(file)}
    return found | {path.name: path for path in _tables(data.seeds)}


def _tables(directory: Directory) -> list[Path]:
    """The files *.yaml, without hidden ones: an editor's lock file may be a link to nothing."""
    return sorted(directory.glob("[!.]*.yaml"))
