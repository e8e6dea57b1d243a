"""Tries the root of seed=PATH: each tool in it is run in a sandbox, and its compiler compiles.

    the seed's tree, if it is made ─┐
    else PATH, unpacked if need be ─┴─▶ sandbox: one script ──▶ tool: does it work, what does it say

No trial needs the network. What a build adds to the root is tried once the seed is made.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from plan.compiling.toolchain import Compiler, search_path
from plan.errors import BuildError
from plan.model import Command
from plan.typed import typed
from tasks.engine.project import Project
from tasks.engine.seeds.given import Given

# The trials of a compiler, beside its version.
COMPILES, HOST_C, HOST_CXX = "compiles", "host C", "host C++"
COMPILER = "compiler"
_SECONDS = 600.0
_SCRIPT = """\
try() {
  name=$1 line=
  shift
  if ( cd /tmp && eval "$@" ) < /dev/null > /tmp/said 2>&1; then state=ok; else state=bad; fi
  while read -r line; do [ -z "$line" ] || break; done < /tmp/said
  echo "$state|$name|$line"
}
echo 'int f(int a) { return a + 1; }' > /tmp/f.c
echo 'int main(void) { return 0; }' > /tmp/m.c
printf '#include <vector>\\nint main() { return std::vector<int>().size(); }\\n' > /tmp/m.cc
"""


@dataclass(frozen=True)
class Tried:
    """Whether a trial went well, and the first line of what it printed."""

    good: bool
    said: str


def tried(project: Project, given: Given) -> dict[str, Tried]:
    """Try what the root has. Raises BuildError if no sandbox can be made, or a trial hangs."""
    from rootfs.archives.seed import make_from_path
    from rootfs.sandbox.compose import Composer, scratch
    from rootfs.sandbox.enter import Sandbox, enter
    from rootfs.sandbox.host import existing

    is_made = project.seed.tree.exists()
    compiler = given.tools.compiler if is_made else _own(given)
    with tempfile.TemporaryDirectory(prefix="try-", dir=existing(project.workdir)) as name:
        directory = Path(name)
        tree = project.seed.tree if is_made else given.path
        if not tree.is_dir():
            make_from_path(tree, directory / "tree")
            tree = directory / "tree"
        points = directory / "points"
        for point in ("proc", "dev", "tmp"):
            (points / point).mkdir(parents=True)
        root = Composer(directory, project.overlay).readonly("/", [tree, points])
        path = search_path(compiler or Compiler("/usr/bin", ""))
        environment = {"PATH": path, "HOME": "/tmp", "LC_ALL": "C"}
        place = Sandbox(directory, root, [scratch("/tmp")], environment)
        script = "\n".join([_SCRIPT, *_trials(given, compiler, project.plan.machines.build.triple)])
        log = directory / "log"
        enter(place, [Command(("/bin/sh", "-c", script), "/")], log=log, seconds=_SECONDS)
        return dict(_read(log.read_text(errors="replace")))


def require_good(project: Project, given: Given) -> None:
    """Raise BuildError if the compiler of the seed, which is made, does not compile."""
    results = tried(project, given)
    for name in (COMPILES, HOST_C, HOST_CXX):
        if name in results and not results[name].good:
            raise BuildError(
                f"its compiler fails ({name}): {results[name].said}",
                where=str(given.path),
                hint=f"{typed('doctor')} tries each tool of this root",
            )


def _own(given: Given) -> Compiler | None:
    """The root's own clang, before anything is added to the root."""
    if given.found.compiler != "clang" or not given.found.programs:
        return None
    place = given.found.programs["clang"].rpartition("/")[0]
    return Compiler(f"/{place}", given.found.resources)


def _trials(given: Given, compiler: Compiler | None, triple: str) -> Iterator[str]:
    for name in given.found.tools:
        program = given.known.tools.get(name, ("/",))[0]
        if not program.startswith("/"):
            yield _trial(name, f"{program} --version")
    if compiler is None:
        return
    yield _trial(COMPILER, "clang --version")
    yield _trial(
        COMPILES,
        f"clang --target={triple} -O2 -c f.c -o f.o && llvm-ar rc f.a f.o && llvm-ranlib f.a "
        "&& ld.lld -r f.a -o g.o",
    )
    if given.found.compiler != "clang":
        return  # Zig would compile its C library for it, which takes minutes
    host, host_cxx = compiler.host
    yield _trial(HOST_C, f"{host} m.c -o m && ./m")
    yield _trial(HOST_CXX, f"{host_cxx} m.cc -o n && ./n")


def _trial(name: str, command: str) -> str:
    return f"try '{name}' '{command}'"


def _read(text: str) -> Iterator[tuple[str, Tried]]:
    for line in text.splitlines():
        state, _, rest = line.partition("|")
        name, _, said = rest.partition("|")
        if state in ("ok", "bad"):
            yield name, Tried(state == "ok", said)
