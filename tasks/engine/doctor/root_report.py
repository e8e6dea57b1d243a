"""What `doctor seed=PATH` says of the root: for each tool whether the root has it, and it works;
whether it is added or made first; or that it is missing.

    Given (what is there) ─┬─▶ rows ──▶ one Finding
    tried (what works) ────┘
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from plan.seeding.path import ZIG, wheel_name
from tasks.engine.doctor.health import FAIL, OK, WARN, Finding
from tasks.engine.doctor.try_root import COMPILER, COMPILES, HOST_C, HOST_CXX, Tried, tried
from tasks.engine.project import Project
from tasks.engine.seeds.given import Given

HAS, ADDED, MADE, MISSING, FAILS = "has", "added", "made first", "missing", "fails"


class Row(NamedTuple):
    """One tool, its state, and details."""

    tool: str
    state: str
    detail: str


def report(project: Project, given: Given) -> Finding:
    """The finding for the root `given`. Raises BuildError if it cannot be tried."""
    rows = list(_rows(given, tried(project, given)))
    states = [row.state for row in rows]
    bad = FAILS in states or any(_is_needed(given, row) for row in rows if row.state == MISSING)
    counts = {state: states.count(state) for state in dict.fromkeys(states)}
    told = ", ".join(f"{count} {state}" for state, count in counts.items())
    return Finding(
        FAIL if bad else WARN if MISSING in states else OK,
        f"{given.path.name} {project.seed.identity[:12]}; its tools: {told}",
        details=rows,
    )


def _is_needed(given: Given, row: Row) -> bool:
    return row.tool in given.known.programs


def _rows(given: Given, results: Mapping[str, Tried]) -> Iterator[Row]:
    yield Row("shell", HAS, "/bin/sh")
    lacking = given.found.lacking
    if there := [name for name in given.known.programs if name not in lacking]:
        yield Row("programs", HAS, f"the {len(there)} small programs of every build")
    needs = dict.fromkeys(given.known.programs, "every build") | dict(given.known.seldom)
    for name, user in needs.items():
        if name in lacking:
            yield Row(name, MISSING, f"install it in the root: {user} needs it")
        elif name in given.known.seldom:
            yield Row(name, HAS, f"for {user}")
    yield from _compiler(given, results)
    for name in given.known.tools:
        yield _tool(given, name, results)


def _compiler(given: Given, results: Mapping[str, Tried]) -> Iterator[Row]:
    found, added = given.found, given.added
    wheel = (
        next((each for each in added.wheels if wheel_name(each) == ZIG), None) if added else None
    )
    if wheel:
        why = f"; of the root's own: {found.refused}" if found.refused else ""
        yield Row("zig", ADDED, f"{wheel.file}{why}")
    else:
        place = (found.programs or {}).get(found.compiler, "")
        said = results[COMPILER].said if COMPILER in results else ""
        yield Row(found.compiler, HAS, f"/{place}" + (f": {said}" if said else ""))
    for name in (COMPILES, HOST_C, HOST_CXX):
        if name in results:
            good, said = results[name].good, results[name].said
            yield Row(name, "works" if good else FAILS, "" if good else said)
    made = [recipe for recipe, tools in (added.makes if added else ()) if "llvm" in tools]
    if made:
        yield Row("objcopy, …", MADE, f"by {', '.join(made)}")


def _tool(given: Given, name: str, results: Mapping[str, Tried]) -> Row:
    if name in given.found.tools:
        if name not in results:
            return Row(name, HAS, given.known.tools[name][0])
        return Row(name, HAS if results[name].good else FAILS, results[name].said)
    added = given.added
    assert added
    if name in (missing := dict(added.missing)):
        return Row(name, MISSING, missing[name])
    for recipe, tools in added.makes:
        if name in tools:
            return Row(name, MADE, f"by {recipe}")
    for wheel in added.wheels:
        if wheel_name(wheel) == name:
            return Row(name, ADDED, wheel.file)
    return Row(name, ADDED, f"Debian's package {name}")
