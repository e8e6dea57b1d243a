"""docs/reference.md, the parts from plan/; tasks/reference.py adds the rest.

    keys, styles, toolchain, parameters, sets.yaml, toolbox.yaml ──▶ Markdown, the same everywhere
    recipes ──▶ an example of each key, copied from a recipe

The meaning of each key is written where the key is defined. Here is only text about all of them.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from plan.compiling import styles, toolchain
from plan.compiling.architecture import Machines, load_architecture
from plan.model import Command
from plan.reading.changes import ADD, ADDED, ENTRY_KEYS
from plan.reading.data import Data
from plan.reading.keys import (
    COMPILER,
    INITRAMFS,
    LAYER,
    LICENSES,
    LOCAL_APP,
    RECIPE,
    SET,
    SOURCE,
    Key,
    Keys,
)
from plan.reading.recipes import load_recipes
from plan.settings.parameter import Parameter
from plan.settings.parameters import PARAMETERS
from plan.yamlfile import kind_name, load

ARCHITECTURE = load_architecture("x86_64")
NATIVE = Machines(ARCHITECTURE, ARCHITECTURE)
TRIPLE = Machines(replace(ARCHITECTURE, triple="BUILD"), replace(ARCHITECTURE, triple="TARGET"))

RECIPES = """\
A recipe is a mapping in `plan/recipes/NAME.yaml`. Aliases and tags of YAML are refused. Scalars are
not converted: `1.10` stays `1.10`. `sh -euc` runs the scripts. In globs `*` and `?` match within a
name, and `**` matches any number of directories. A glob that matches a directory matches
everything below it.

The recipe's files are in `plan/recipes/NAME/`. A build sees them at `/recipe`. `patch -p1` applies
`patches/*.patch` to `/source`, in the order of their names, or in that of `patches/series`. A file
`ARCHITECTURE.anything`, also in `patches/`, is only there if that is the target."""

OVERRIDES = """\
`overrides.yaml` in the work directory changes the recipes, for that work directory only. The file
and its patches are in a bundle, in a tarball, and in an image with a root partition. `image.json`
of every product lists the `overridden` packages. The name of an entry is one of:

- `NAME`: the package in every phase;
- `PHASE:NAME`: the package in that phase. It wins over the entry `NAME`;
- `PHASE:*`: all packages of that phase. It has only an `environment`. The recipe and the other
  entries of a package win over it.

An entry may have these keys:
"""

# Key of plan/toolbox.yaml that is no style → what it lists.
TOOLS = {
    "every": "all",
    "image": "of the image of a cross build",
    "made": "(no seed has these: they are built first where a recipe needs them)",
}
STYLES = """\
A style gives the commands of a build. For every style, the recipe's patches and its `before` come
first; its `after` and the stripping of all programs and libraries come last. Each command is shown
after the directory that it runs in. `BUILD` and `TARGET` are the triples of the build architecture
and of the target; they are equal except in a cross build. After a successful build these files are
removed from `/dest`, in addition to the recipe's `remove`:"""

ENVIRONMENT = f"""\
These are all variables, except the recipe's `environment` and the number of processes. `JOBS`,
`MAKEFLAGS` and `CMAKE_BUILD_PARALLEL_LEVEL` have that number; they are not part of the step id. The
values are those for {ARCHITECTURE.name} in the second phase. In the first phase, `PATH` begins with
the directory of the seed's clang. A cross build also has `BUILD`, the triple of the build
architecture.
"""


LAYERS = """\
`layer=PATH` names a directory outside of this checkout that adds to it; several are separated by
commas. A later one may build on an earlier one. [layers.md](layers.md) shows how to write one. All
of its parts are optional. A file whose name is almost that of a part (`set.yaml`, `recipes/x.yml`)
is refused. Other files do not matter:
"""

ADDS = {
    "recipes/": "Recipes and their files, as in `plan/recipes/`.",
    "sets.yaml": "More [sets](#sets).",
    "files/": "A tree that is laid over the root of every product, as the package `NAME-files`.",
    "kernel/*.config": "What Kconfig is asked for, in addition to the files of the recipe `linux`, "
    "and checked like them. The last one that settles a symbol wins. A file with the name of an "
    "architecture is for that one.",
    "seeds/": "Files of seeds, as in `plan/seeds/`: a lock file for another architecture, for "
    "example.",
    "architectures.yaml": "More architectures, as in `plan/architectures.yaml`.",
    "licenses.yaml": "More SPDX identifiers. `LicenseRef-…` needs no entry.",
    "layer.yaml": "Its name, what it needs, what it replaces.",
}


def recipe_keys(recipes: Path) -> Iterator[str]:
    """Each key of a recipe, with an example from the directory `recipes`."""
    yield RECIPES
    for name, key in RECIPE.items():
        must = ", required" if key.required else ""
        yield from ("", f"### `{name}`", "", f"A {kind_name(key.kind)}{must}. {key.meaning}", "")
        yield from _example(recipes / f"{key.example}.yaml", name)
    yield from ("", "### An entry of `sources`", "", *_keys(SOURCE))


def _example(path: Path, key: str) -> Iterator[str]:
    """The lines of `key` in a recipe, as code."""
    lines = path.read_text(encoding="utf-8").splitlines()
    start = load(path).lines[key] - 1
    end = start + 1
    while end < len(lines) and (not lines[end] or lines[end].startswith(" ")):
        end += 1
    yield from ("```yaml", f"# plan/recipes/{path.name}", *lines[start:end], "```")


def _keys(keys: Keys) -> Iterator[str]:
    rows = ((f"`{name}`", *_cells(key)) for name, key in keys.items())
    return table(("key", "value", "", "meaning"), rows)


def _cells(key: Key) -> tuple[str, str, str]:
    return kind_name(key.kind), "required" if key.required else "", key.meaning


def overrides() -> Iterator[str]:
    """The keys of overrides.yaml."""
    own = [key for key in ENTRY_KEYS if key in RECIPE]
    added = [f"{ADD}{key}" for key in ADDED]
    yield OVERRIDES
    rows = (
        (_code(own), "replaces the recipe's value; `environment` is merged by name"),
        (_code(added), "is appended to the recipe's value"),
        ("`patches`", "files in `patches/NAME/` beside it, applied after the recipe's patches"),
    )
    yield from table(("key", "what it does"), rows)


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def styles_of(recipes: Path) -> Iterator[str]:
    """Each style with its literal commands."""
    loaded = load_recipes(Data(recipes.parent))
    sample = replace(
        loaded[RECIPE["style"].example],
        directory="DIRECTORY",
        options=("OPTIONS",),
        build="BUILD",
        programs=(("PROGRAM", "MAIN"),),
        variables=("CC", "AR"),
    )
    variables = toolchain.environment(NATIVE, toolchain.own_compiler(loaded))
    yield STYLES
    yield _code(styles.ALWAYS_REMOVED) + "."
    for style, make in styles.STYLES.items():
        about = (make.__doc__ or "").strip()
        yield from ("", f"### {style}", "", about, "")
        yield from _commands(make(replace(sample, style=style), TRIPLE, variables))
        if style == "cmake":
            yield from ("", "With a `target`, instead of the last two:", "")
            whole = replace(sample, style=style, target="NAME")
            yield from _commands(make(whole, TRIPLE, variables)[-2:])


def _commands(commands: Sequence[Command]) -> Iterator[str]:
    texts = [(command.cwd, shlex.join(command.argv)) for command in commands]
    width = max(len(cwd) for cwd, _ in texts)
    yield from ("```", *(f"{cwd:<{width}}  {text}" for cwd, text in texts), "```")


def sets(data: Path) -> Iterator[str]:
    """The keys of a set, the sets, and their tools."""
    found = load(data / "sets.yaml")
    toolbox = load(data / "toolbox.yaml")
    yield "`plan/sets.yaml` defines the sets: what can be built as a whole."
    yield from ("", *_keys(SET), "", "Keys of `initramfs`:", "", *_keys(INITRAMFS), "")
    rows = (
        (f"`{name}`", each["phase"], ", ".join(each["packages"])) for name, each in found.items()
    )
    yield from table(("set", "phase", "packages"), rows)
    yield from ("", "`plan/toolbox.yaml` lists the tools for builds of the second phase:", "")
    yield from table(
        ("builds", "tools"),
        (
            (TOOLS.get(key, f"of the style {key}"), ", ".join(names))
            for key, names in toolbox.items()
        ),
    )


def layers() -> Iterator[str]:
    """The parts of a layer, and the keys of its layer.yaml and licenses.yaml."""
    yield LAYERS
    yield from table(("path", "what it adds"), ((f"`{name}`", told) for name, told in ADDS.items()))
    yield from ("", "Keys of `layer.yaml`, all of them optional:", "", *_keys(LAYER))
    yield from (
        "",
        "Keys of `app`, for [your program](program.md); `directory` is only in `local.yaml`, the "
        "others are also in `layer.yaml`:",
        "",
        *_keys(LOCAL_APP),
    )
    yield from ("", "Keys of `licenses.yaml`:", "", *_keys(LICENSES))


def seeds() -> Iterator[str]:
    """The compiler of a seed."""
    yield "`plan/seeds/NAME.yaml` describes a seed. `compiler` in it has these keys:"
    yield from ("", *_keys(COMPILER))


def environment(recipes: Path) -> Iterator[str]:
    """The environment of every step, and the files of /toolchain."""
    own = toolchain.own_compiler(load_recipes(Data(recipes.parent)))
    values = toolchain.environment(NATIVE, own)
    yield ENVIRONMENT
    yield from table(
        ("variable", "value"), ((f"`{name}`", f"`{value}`") for name, value in values.items())
    )
    for each in toolchain.additions(NATIVE, own, own):
        if not each.link:
            yield from ("", f"`{each.path}`:", "", "```", *each.text.splitlines(), "```")


def paths() -> Iterator[str]:
    """The paths in the sandbox of a step."""
    rows = ((f"`{path}`", *about) for path, about in toolchain.PATHS.items())
    return table(("path", "what", ""), rows)


def parameters() -> Iterator[str]:
    """Each parameter with its default, its values, and the commands that know it."""
    rows = (
        (f"`{each.name}`", _default(each), each.takes(), each.help, _code(each.of) or "all")
        for each in PARAMETERS
    )
    return table(("parameter", "default", "takes", "meaning", "known to"), rows)


def _default(parameter: Parameter) -> str:
    text = parameter.default_in_words() or "none"
    plain = parameter.default.__doc__ or text in ("yes", "no", "none")
    # `loader` has a value none.
    return text if plain and parameter.default() != text else f"`{text}`"


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table of Markdown."""
    for cells in (heading, ["---"] * len(heading), *rows):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
