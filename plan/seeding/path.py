"""A root that the user gives (seed=PATH), as data: what it has, and what is added to it.

plan/seeds/path.yaml ──load_known──▶ Known ─┐
the root's files ─────look_at.py────────────┴─look_at─▶ Found ─┐
plan/seeds/alpine.yaml ──load_alpine──▶ AlpineSeed ────────────┴─fitted─▶ AlpineSeed, for this root

A root that has everything is used unchanged. One that lacks something is completed as Alpine's root
is: by wheels, by programs and links in the same directory, and by tools that are compiled first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from plan.compiling.toolchain import Compiler, Tools
from plan.errors import BuildError
from plan.model import Source
from plan.seeding.alpine import DEBIAN, AlpineSeed
from plan.seeding.tables import entries, lists
from plan.yamlfile import load

_KINDS = {
    "oldest": int,
    "clang": list,
    "zig": list,
    "loaders": dict,
    "tools": dict,
    "programs": list,
    "seldom": dict,
    "needs_zig": list,
    "wheels": dict,
}
_WHEEL = {"sha256": str, "size": int, "file": str}
LLVM, ZIG = "llvm", "ziglang"  # a package of the recipes; a wheel of alpine.yaml


@dataclass(frozen=True)
class Known:
    """plan/seeds/path.yaml; `wheels` are those for a root with glibc, by name."""

    oldest: int
    clang: tuple[str, ...]
    zig: tuple[str, ...]
    loaders: Mapping[str, tuple[str, ...]]
    tools: Mapping[str, tuple[str, ...]]
    programs: tuple[str, ...]
    seldom: Mapping[str, str]
    needs_zig: tuple[str, ...]
    wheels: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Found:
    """What a root has. Paths are relative to it, with links followed.

    machine: of its shell, "" if that is no ELF file; None: there is no shell. loader: "musl",
    "glibc" or "". compiler: "clang", "zig" or "". version: clang's. resources: the compiler's
    directory of headers. programs: the compiler's, by name. tools: packages (`llvm`: of the
    compiler's programs none is missing). lacking: the other names that were looked for. refused:
    why a compiler that is there is not used.
    """

    machine: str | None
    loader: str
    compiler: str = ""
    version: int = 0
    resources: str = ""
    programs: Mapping[str, str] | None = None
    tools: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    refused: str = ""


def load_known(path: Path, arch: str) -> Known:
    """The file at `path`, for machines of `arch`. Raises BuildError with file and line."""
    table = load(path)
    table.expect(_KINDS, required=tuple(key for key in _KINDS if key != "wheels"))
    by_machine = entries(table, "wheels", dict)
    wheels = entries(by_machine, arch, dict)
    for wheel in wheels.values():
        wheel.expect(_WHEEL, required=_WHEEL)
    return Known(
        oldest=table["oldest"],
        clang=table.texts("clang"),
        zig=table.texts("zig"),
        loaders=dict(lists(table, "loaders")),
        tools=dict(lists(table, "tools")),
        programs=table.texts("programs"),
        seldom=table.mapping("seldom"),
        needs_zig=table.texts("needs_zig"),
        wheels=wheels,
    )


def no_shell(where: str) -> BuildError:
    """The error for a root without a shell."""
    return BuildError(
        "has no /bin/sh: a build cannot run in this root file system",
        where=where,
        hint="a tarball must hold bin, etc, usr... at its top, not in a directory",
    )


def require_fit(machine: str | None, where: str, build: str) -> None:
    """Raise BuildError unless a root runs on machines of `build`. machine: as `Found` has it."""
    if machine is None:
        raise no_shell(where)
    if machine not in ("", build):
        raise BuildError(
            f"is a root for {machine}, but the build architecture is {build}",
            where=where,
            hint=f"give a root for {build}, or build on a machine of {machine}",
        )


def whole(found: Found, known: Known) -> bool:
    """Whether the root lacks no tool, so that it is used unchanged."""
    return {*known.tools, LLVM} <= {*found.tools}


def own_tools(found: Found) -> Tools:
    """The tools of a root that lacks none."""
    assert found.programs
    return Tools(_compiler(found, f"/{found.programs['clang'].rpartition('/')[0]}"))


def fitted(alpine: AlpineSeed, found: Found, known: Known) -> AlpineSeed:
    """`alpine` without what the root `found` has: what is added to that root, and made first."""
    own = found.compiler == "clang"
    place = alpine.compiler.programs
    has = {*found.tools, *([ZIG] if found.compiler else [])}
    wheels = [_wheel(each, found, known) for each in alpine.wheels if wheel_name(each) not in has]
    programs, links = dict(alpine.programs), list(_links(alpine, found))
    if own:
        host = {f"{place}/cc"[1:], f"{place}/c++"[1:]}
        programs = {name: text for name, text in programs.items() if name not in host}
    taken = {name for name, _ in links}
    programs = {name: text for name, text in programs.items() if name not in taken}
    crystal = "crystal" in has
    if crystal:
        programs = {name: text for name, text in programs.items() if not _of_crystal(name)}
    return replace(
        alpine,
        version="",
        compiler=_compiler(found, place) if own else _with_loader(alpine.compiler, found),
        wheels=tuple(wheels),
        debian=() if crystal else alpine.debian,
        foreign=None if crystal else alpine.foreign,
        programs=tuple(sorted(programs.items())),
        links=(*alpine.links, *links),
        makes=tuple(_makes(alpine, known, has, own)),
        makes_crossed=() if own else alpine.makes_crossed,
        missing=tuple(_missing(alpine, known, has, own)),
    )


def _of_crystal(program: str) -> bool:
    """Whether `program` of the seed starts Debian's Crystal, or comes with it."""
    return program == "usr/bin/crystal" or program.startswith(f"{DEBIAN}/")


def wheel_name(wheel: Source) -> str:
    """The name of the package in `wheel`."""
    return wheel.file.partition("-")[0]


def to_json(found: Found) -> dict[str, Any]:
    """`found` as plain data."""
    return asdict(found)


def from_json(data: Mapping[str, Any]) -> Found:
    """The result of `to_json` as it was. Raises TypeError if it is anything else."""
    lists = {name: tuple(data[name]) for name in ("tools", "lacking") if name in data}
    return Found(**{**data, **lists})


def _compiler(found: Found, place: str) -> Compiler:
    """The root's own clang, whose programs are at `place`."""
    musl = found.loader == "musl"
    libraries = ("/sysroot/usr/lib", *(("/lib", "/usr/lib") if musl else ()))
    return Compiler(place, f"/{found.resources}", loader=not musl, libraries=libraries)


def _with_loader(compiler: Compiler, found: Found) -> Compiler:
    return compiler if found.loader == "musl" else replace(compiler, loader=True)


def _links(alpine: AlpineSeed, found: Found) -> Iterator[tuple[str, str]]:
    """Links to the programs of the root's own compiler, where the others expect them."""
    place = alpine.compiler.programs[1:]
    own = found.programs or {}
    if found.compiler == "zig":
        above = alpine.compiler.resources[1:].rpartition("/")[0]
        yield from ((f"{above}/{name}", f"/{path}") for name, path in own.items())
        return
    names = {**own, **({"cc": own["clang"], "c++": own["clang++"]} if own else {})}
    yield from ((f"{place}/{name}", f"/{path}") for name, path in names.items())


def _wheel(wheel: Source, found: Found, known: Known) -> Source:
    """`wheel`, or the one of it for the root's C library."""
    other = known.wheels.get(wheel_name(wheel)) if found.loader == "glibc" else None
    if other is None:
        return wheel
    return replace(wheel, sha256=other["sha256"], size=other["size"], file=other["file"])


def _makes(
    alpine: AlpineSeed, known: Known, has: set[str], own: bool
) -> Iterator[tuple[str, tuple[str, ...]]]:
    for recipe, tools in alpine.makes:
        if {*tools} <= has or (own and recipe in known.needs_zig):
            continue
        yield recipe, tools


def _missing(
    alpine: AlpineSeed, known: Known, has: set[str], own: bool
) -> Iterator[tuple[str, str]]:
    yield from (each for each in alpine.missing if each[0] not in has)
    for recipe, tools in alpine.makes:
        for tool in tools if own and recipe in known.needs_zig else ():
            if tool in known.tools and tool not in has:
                yield tool, f"install it in the root: only with Zig is it made first, by {recipe}"
