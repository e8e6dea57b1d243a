"""docs/reference.md, but for what only tasks/ knows: all that can be said in the files of plan/.

    keys, styles, toolchain, parameters, sets.yaml, toolbox.yaml ──▶ Markdown, the same everywhere
    recipes ──▶ an example of each key, as it stands there

What a thing means is told where it is made; here is only what holds for all of a kind.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from plan import styles, toolchain
from plan.architecture import Machines, load_architecture
from plan.keys import INITRAMFS, RECIPE, SET, SOURCE, Key, Keys
from plan.layers import ADD, ADDED, ENTRY_KEYS
from plan.model import Command
from plan.parameters import PARAMETERS, Parameter
from plan.recipes import load_recipes
from plan.yamlfile import kind_name, load

ARCHITECTURE = load_architecture("x86_64")
NATIVE = Machines(ARCHITECTURE, ARCHITECTURE)
# No parameter takes this: what is said then, says what it takes.
REFUSED = "?"

TRIPLE = Machines(replace(ARCHITECTURE, triple="BUILD"), replace(ARCHITECTURE, triple="TARGET"))

RECIPES = """\
A recipe is a mapping in `plan/recipes/NAME.yaml`. Aliases and tags of YAML are refused, and a
value is what is written: `1.10` stays `1.10`. Scripts are run by `sh -euc`. In globs `*` and `?`
stay within a name, `**` stands for any number of folders, and what matches a folder matches all
below it.

The recipe's files lie in `plan/recipes/NAME/`. A build finds them at `/recipe`. Those that are
called `patches/*.patch` are applied to `/source`, in the order of their names, by `patch -p1`. One
that is called `ARCHITECTURE.anything` is there where that is the target."""

OVERRIDES = """\
`overrides.yaml` in the work directory changes what the recipes say, for that work directory alone.
Products take the file and its patches along, and the `image.json` in them names the packages that
are `overridden`. An entry is called

- `NAME`: the package in every phase;
- `PHASE:NAME`: the package in that phase. It wins over what is said of `NAME`;
- `PHASE:*`: all packages of that phase. It has an `environment` only, of variables that neither
  the recipe nor an entry of the package names.

An entry may have these keys:
"""

STYLES = """\
A style gives the commands of a build. The patches of the recipe and its `before` come before them,
its `after` and the stripping of all programs and libraries after them, whatever the style. In front
of each command stands the folder that it runs in. `BUILD` and `TARGET` are the triples of the
machine and of what it builds for, and the same unless those are of two architectures. When all went
well, these are removed from `/dest`, besides what the recipe says:"""

ENVIRONMENT = f"""\
This is all there is, besides what the recipe's `environment` says and the number of processes:
`JOBS`, `MAKEFLAGS` and `CMAKE_BUILD_PARALLEL_LEVEL` have it, and are no part of the step id. The
values are those for {ARCHITECTURE.name} in the second phase. In the first, `PATH` begins with the
folder of the seed's clang. What is built for another architecture than the machine's also has
`BUILD`, the machine's own triple.
"""


def recipe_keys(recipes: Path) -> Iterator[str]:
    """Each key of a recipe, with an example from the folder `recipes`."""
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
    """What may stand in overrides.yaml."""
    own = [key for key in ENTRY_KEYS if key in RECIPE]
    added = [f"{ADD}{key}" for key in ADDED]
    yield OVERRIDES
    rows = (
        (_code(own), "takes the place of the recipe's; `environment` is merged by name"),
        (_code(added), "is added at the end of the recipe's"),
        ("`patches`", "files in `patches/NAME/` beside it, applied after those of the recipe"),
    )
    yield from table(("key", "what it does"), rows)


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def styles_of(recipes: Path) -> Iterator[str]:
    """Each style with the literal commands that it makes."""
    sample = replace(
        load_recipes(recipes)["pcre2"],
        directory="DIRECTORY",
        options=("OPTIONS",),
        build="BUILD",
    )
    yield STYLES
    yield _code(styles.ALWAYS_REMOVED) + "."
    for style, make in styles.STYLES.items():
        about = (make.__doc__ or "").strip()
        yield from ("", f"### {style}", "", about, "")
        yield from _commands(make(replace(sample, style=style), TRIPLE))
        if style == "cmake":
            yield from ("", "With a `target`, in place of the last two:", "")
            whole = replace(sample, style=style, target="NAME")
            yield from _commands(make(whole, TRIPLE)[-2:])


def _commands(commands: Sequence[Command]) -> Iterator[str]:
    texts = [(command.cwd, shlex.join(command.argv)) for command in commands]
    width = max(len(cwd) for cwd, _ in texts)
    yield from ("```", *(f"{cwd:<{width}}  {text}" for cwd, text in texts), "```")


def sets(data: Path) -> Iterator[str]:
    """The keys of a set, the sets there are, and what builds them."""
    found = load(data / "sets.yaml")
    toolbox = load(data / "toolbox.yaml")
    yield "`plan/sets.yaml` says what can be built as a whole."
    yield from ("", *_keys(SET), "", "Of `initramfs`:", "", *_keys(INITRAMFS), "")
    rows = (
        (f"`{name}`", each["phase"], ", ".join(each["packages"])) for name, each in found.items()
    )
    yield from table(("set", "phase", "packages"), rows)
    yield from ("", "`plan/toolbox.yaml` says what runs in the builds of the second phase:", "")
    yield from table(
        ("builds", "tools"),
        (
            (f"of the style {key}" if key in styles.STYLES else "all", ", ".join(names))
            for key, names in toolbox.items()
        ),
    )


def environment() -> Iterator[str]:
    """The environment of every step, and the files of /toolchain."""
    values = toolchain.environment(NATIVE, toolchain.OWN)
    yield ENVIRONMENT
    yield from table(
        ("variable", "value"), ((f"`{name}`", f"`{value}`") for name, value in values.items())
    )
    for each in toolchain.additions(NATIVE, toolchain.OWN):
        if not each.link:
            yield from ("", f"`{each.path}`:", "", "```", *each.text.splitlines(), "```")


def paths() -> Iterator[str]:
    """What a step sees."""
    rows = ((f"`{path}`", *about) for path, about in toolchain.PATHS.items())
    return table(("path", "what", ""), rows)


def parameters() -> Iterator[str]:
    """Each parameter with its default, what it takes, and the commands that know it."""
    rows = (
        (f"`{each.name}`", _default(each), _takes(each), each.help, _code(each.of) or "all")
        for each in PARAMETERS
    )
    return table(("parameter", "default", "takes", "meaning", "known to"), rows)


def _default(parameter: Parameter) -> str:
    if parameter.default.__doc__:
        return parameter.default.__doc__
    text = parameter.default()
    if "yes" in _takes(parameter):
        return {"0": "no", "1": "yes"}[text]
    return f"`{text}`" if text else "none"


def _takes(parameter: Parameter) -> str:
    try:
        parameter.check(REFUSED)
    except ValueError as error:
        return str(error).removeprefix("it is ").removeprefix("known: ")
    return "a text"


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table of Markdown."""
    for cells in (heading, ["---"] * len(heading), *rows):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
