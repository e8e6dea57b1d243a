"""The files of a recipe, which a build sees at /recipe: those beside it, and what layers add.

recipes/<name>/…                          ──▶ …
recipes/linux/<arch>.config ─┐
LAYER/kernel/*.config       ─┴──merged────▶ <arch>.config
LAYER/files/…                             ──▶ files/…   of the package LAYER-files
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from plan.reading.data import ARCHITECTURES, Data
from plan.reading.layer import FILES, Layer
from plan.yamlfile import Table

# The recipe that compiles the kernel. Its files *.config are what Kconfig is asked for.
KERNEL = "linux"
_SYMBOL = re.compile(r"(?=# CONFIG_\w+ is not set|CONFIG_\w+=)(?:# )?(CONFIG_\w+)")


@dataclass(frozen=True)
class Made:
    """A file that is made of `parts`: one after the other, and nearly always one.

    Of a configuration, the lines are left out whose symbols `settled` or a later part settles.
    """

    parts: Sequence[Path]
    settled: Sequence[Path] = ()

    @property
    def file(self) -> Path | None:
        """The file as it is, if there is one."""
        return self.parts[0] if len(self.parts) == 1 and not self.settled else None


Files = Mapping[str, Made]
"""Path below /recipe → the file there."""


def files(data: Data, recipe: str) -> Files:
    """The files of the recipe named `recipe`, without the patches of overrides."""
    directory = data.files_of(recipe)
    if layer := data.trees.get(recipe):
        return {name: Made((directory / name,)) for name, _ in layer.content if _is_of_tree(name)}
    if not directory.is_dir():
        return {}
    paths = sorted(path for path in directory.rglob("*") if path.is_file())
    found = {path.relative_to(directory).as_posix(): Made((path,)) for path in paths}
    return found | _configured(found, data) if recipe == KERNEL else found


def content(made: Made) -> bytes:
    """The content of the file `made`."""
    if made.file:
        return made.file.read_bytes()
    settled = {symbol for file in made.settled for _, symbol in _lines(file)}
    lines = list[str]()
    for file in reversed(made.parts):
        rows = _lines(file)
        lines = [line for line, symbol in rows if symbol not in settled] + lines
        settled |= {symbol for _, symbol in rows if symbol}
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


def _lines(file: Path) -> list[tuple[str, str]]:
    """The lines of a configuration, each with the symbol that it settles, or ""."""
    # Byte for byte, whatever the locale of the caller is. Some editors begin a file with a mark.
    text = file.read_text(encoding="utf-8-sig", errors="surrogateescape")
    rows = ((line, _SYMBOL.match(line)) for line in text.splitlines())
    return [(line, found[1] if found else "") for line, found in rows]


def _configured(found: Files, data: Data) -> dict[str, Made]:
    """The configurations among `found`, with what layers ask of Kconfig.

    A fragment that has the name of an architecture is for that one, all others are for every one.
    """
    fragments = [path for layer in data.layers for path in layer.fragments]
    names = [f"{name}.config" for name in data.names(ARCHITECTURES)]
    shared = [path for path in fragments if path.name not in names]
    asked = {
        name: replace(own, settled=shared)
        for name, own in found.items()
        if shared and name.endswith(".config")
    }
    for name in names:
        own = found[name].parts if name in found else ()
        added = [path for path in fragments if path.name == name or path in shared]
        if added and (own or name in (path.name for path in added)):
            asked[name] = Made((*own, *added))
    return asked


def _is_of_tree(name: str) -> bool:
    return name.startswith(f"{FILES}/")


def tree_recipe(name: str, layer: Layer) -> Table:
    """The recipe of the package `name`, which lays the tree of `layer` over the root."""
    table = Table(str(layer.path / FILES), 1)
    table.update(
        name=name,
        version="1",
        license="LicenseRef-layer",
        description=f"the files of the layer {layer.name}",
        style="script",
        build="\n".join(_commands(layer)) + "\n",
    )
    return table


def _commands(layer: Layer) -> list[str]:
    tree = [(name, runs) for name, runs in layer.content if _is_of_tree(name)]
    modes = [(name.removeprefix(f"{FILES}/"), "755") for name, runs in tree if runs]
    modes += sorted(layer.modes.items())
    lines = ["cd /dest"]
    if tree:
        lines.append(f"cp -R /recipe/{FILES}/. .")
    lines += [f"chmod {mode} {shlex.quote(name)}" for name, mode in modes]
    for name, target in sorted(layer.links.items()):
        lines.append(f"mkdir -p ./{shlex.quote(str(PurePath(name).parent))}")
        lines.append(f"ln -s -- {shlex.quote(target)} {shlex.quote(name)}")
    return lines
