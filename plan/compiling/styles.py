"""Styles: the kinds of build. A recipe names a style, and the style gives the commands.

    more sources ─▶ patches ─▶ before ─▶ the style's own commands ─▶ after ─▶ strip

Every command is literal; `$NAME` in a recipe's options becomes the value of the step's variable
here. Only the number of processes comes from outside (JOBS, MAKEFLAGS, CMAKE_BUILD_PARALLEL_LEVEL):
it must not change an output.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping

from plan.compiling import crystal
from plan.compiling.architecture import Machines
from plan.errors import BuildError, nearest
from plan.model import Command, Recipe, Source

SOURCE, BUILD, DEST = "/source", "/build", "/dest"

Variables = Mapping[str, str]
"""The environment of a step, and BUILD, the triple of the machine."""

BY_NINJA = ("cmake", "--build", BUILD)

# No image needs these: the sources, which are shipped, have the documentation, and libtool's
# archives only add paths to later links.
ALWAYS_REMOVED = (
    "usr/share/doc",
    "usr/share/info",
    "usr/share/man",
    "usr/share/locale",
    "usr/lib/*.la",
)

# The variables that `make` gets on its command line: a Makefile's `CC = gcc` wins over the
# environment. CFLAGS is not one of them: make would ignore the Makefile's `CFLAGS += -Iinclude`.
MAKE_VARIABLES = (
    *("CC", "CXX", "HOSTCC", "HOSTCXX", "CC_FOR_BUILD"),
    *("AR", "RANLIB", "NM", "STRIP", "OBJCOPY"),
)

# `$$`, `${NAME}` or `$NAME`. `$(NAME)` is make's.
VARIABLE = re.compile(r"\$(?:\$|\{(\w+)\}|([A-Za-z_]\w*))")

# The ending of a compressed file → the program that writes its content.
READERS = {"gz": "zcat", "bz2": "bzcat", "xz": "xzcat"}

# Objects (*.o) keep their symbols: the linker needs them. GNU's strip writes into the file itself,
# so files that are installed read-only become writable.
STRIP = r"""find /dest -type f ! -name '*.o' | while read -r file; do
  if [ "$(head -c 4 "$file" | tr -d '\0')" = "$(printf '\177ELF')" ]; then
    chmod u+w "$file"
    "$STRIP" --strip-unneeded "$file"
  fi
done"""


def commands(
    recipe: Recipe, machines: Machines, environment: Mapping[str, str]
) -> tuple[Command, ...]:
    """All commands that build `recipe`, in order; `environment`: the variables of its step.

    Raises BuildError for an option that names an unknown variable.
    """
    found = [command for source in recipe.sources for command in _laid_in(source)]
    found += [Command(("patch", "-p1", "-i", f"/recipe/{path}"), SOURCE) for path in recipe.patches]
    if recipe.before:
        found.append(_script(recipe.before, SOURCE))
    variables = {"BUILD": machines.build.triple} | dict(environment)
    found += STYLES[recipe.style](recipe, machines, variables)
    if recipe.after:
        found.append(_script(recipe.after, DEST))
    found.append(_script(STRIP, DEST))
    return tuple(found)


def _laid_in(source: Source) -> list[Command]:
    """What puts `source`, which is not the first, into the first."""
    file, into = shlex.quote(f"/input/{source.file}"), shlex.quote(source.into)
    if source.into:
        return [_script(f"mkdir -p {into}\ncp -pR {file}/. {into}", SOURCE)]
    if source.patch:
        reader = READERS.get(source.file.rpartition(".")[2], "cat")
        return [_script(f"{reader} {file} | patch -p1", SOURCE)]
    return []


def _options(recipe: Recipe, variables: Variables) -> list[str]:
    """The recipe's options, with the values of the `variables` that they name."""

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        return _value(name, variables, recipe) if name else "$"

    return [VARIABLE.sub(value, option) for option in recipe.options]


def _value(name: str, variables: Variables, recipe: Recipe) -> str:
    if name not in variables:
        raise BuildError(
            f"{name} is no variable of the step",
            where=recipe.options_at,
            hint=f"{nearest(name, variables)} (in an option, a plain $ is written $$)",
        )
    return variables[name]


def _script(text: str, cwd: str) -> Command:
    return Command(("sh", "-euc", text), cwd)


def _source_directory(recipe: Recipe) -> str:
    return SOURCE if recipe.directory == "." else f"{SOURCE}/{recipe.directory}"


def _configure(recipe: Recipe, machines: Machines, variables: Variables) -> list[Command]:
    """Run a configure script outside of the source."""
    script = f"{_source_directory(recipe)}/configure"
    build, host = machines.build.triple, machines.target.triple
    machine = (f"--build={build}", f"--host={host}", "--prefix=/usr")
    return [
        Command((script, *machine, *_options(recipe, variables)), BUILD),
        Command(("make",), BUILD),
        Command(("make", "install", f"DESTDIR={DEST}"), BUILD),
    ]


def _autoreconf(recipe: Recipe, machines: Machines, variables: Variables) -> list[Command]:
    """Make the configure script, which the source does not have, and run it as `configure` does."""
    # The macros of dependencies, and the modules that not every Perl has.
    given = "ACLOCAL_PATH=/sysroot/usr/share/aclocal PERL5LIB=/usr/share/autoconf"
    script = _script(f"{given} autoreconf -fi", _source_directory(recipe))
    return [script, *_configure(recipe, machines, variables)]


def _meson(recipe: Recipe, machines: Machines, variables: Variables) -> list[Command]:
    """Build a Meson project with Ninja; features are off unless an option enables them."""
    from plan.compiling.meson import machine_files, machine_options

    setup = (
        *("meson", "setup", BUILD, _source_directory(recipe), *machine_options(machines)),
        *("--prefix=/usr", "--libdir=lib", "--sbindir=bin", "--buildtype=plain"),
        *("--wrap-mode=nodownload", "--auto-features=disabled"),
    )
    return [
        _script(machine_files(machines, variables), SOURCE),
        Command((*setup, *_options(recipe, variables)), SOURCE),
        _script('ninja -j "$JOBS"', BUILD),
        Command(("meson", "install", "--no-rebuild", f"--destdir={DEST}"), BUILD),
    ]


def _python(recipe: Recipe, machines: Machines, variables: Variables) -> list[Command]:
    """Install a pure Python package: an unpacked wheel, or the packages that `options` name."""
    from plan.compiling.pure_python import install

    del machines
    program = install(recipe.name, recipe.version)
    argv = ("python3", "-c", program, *_options(recipe, variables))
    return [Command(argv, _source_directory(recipe))]


def _cmake(recipe: Recipe, machines: Machines, variables: Variables) -> list[Command]:
    """Build a CMake project with Ninja."""
    return [
        Command(
            (
                "cmake",
                *("-S", _source_directory(recipe), "-B", BUILD, "-G", "Ninja"),
                "-DCMAKE_TOOLCHAIN_FILE=/toolchain/target.cmake",
                "-DCMAKE_INSTALL_PREFIX=/usr",
                "-DCMAKE_INSTALL_LIBDIR=lib",
                "-DCMAKE_BUILD_TYPE=Release",
                *_options(recipe, variables),
            ),
            BUILD,
        ),
        *_ninja(recipe.target),
    ]


def _ninja(target: str) -> list[Command]:
    if not target:
        return [Command(BY_NINJA, BUILD), Command(("cmake", "--install", BUILD), BUILD)]
    targets = (target, f"install-{target}")
    return [Command((*BY_NINJA, "--target", each), BUILD) for each in targets]


def resumable(command: Command) -> bool:
    """Whether `command` continues after an interruption.

    Ninja does: it makes again what its log does not list as finished, and each output does not
    depend on an earlier, partial output.
    """
    return command.argv[: len(BY_NINJA)] == BY_NINJA


def _make(recipe: Recipe, machines: Machines, variables: Variables) -> list[Command]:
    """Run a Makefile that needs no configuration; `variables` (here two) precede `options`."""
    del machines
    directory = _source_directory(recipe)
    given = [f"{name}={_value(name, variables, recipe)}" for name in recipe.variables]
    options = [*given, *_options(recipe, variables)]
    install = ("make", "install", "PREFIX=/usr", "prefix=/usr", f"DESTDIR={DEST}", *options)
    return [Command(("make", *options), directory), Command(install, directory)]


def _crystal(recipe: Recipe, machines: Machines, variables: Variables) -> list[Command]:
    """Compile `programs` with Crystal; `options` are the compiler's."""
    del machines
    return crystal.commands(recipe, _options(recipe, variables), _source_directory(recipe))


def _scripted(recipe: Recipe, machines: Machines, variables: Variables) -> list[Command]:
    """Only run the recipe's own `build` script."""
    del machines, variables
    return [_script(recipe.build, SOURCE)]


STYLES: dict[str, Callable[[Recipe, Machines, Variables], list[Command]]] = {
    "autoreconf": _autoreconf,
    "cmake": _cmake,
    "configure": _configure,
    "crystal": _crystal,
    "make": _make,
    "meson": _meson,
    "python": _python,
    "script": _scripted,
}
