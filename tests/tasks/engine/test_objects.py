"""Packages whose files real workers compile one by one: the bits, and every way to fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from plan.compiling.objects import require_objects
from plan.errors import BuildError
from plan.model import SYSROOT_FROM_SEED, Command
from rootfs.sandbox.enter import Result, Sandbox
from rootfs.sandbox.step import Inputs, prepare, run_commands
from tasks.engine.builder import Builder
from tasks.engine.project import Project, open_project
from tests.checkout import own_cache
from tests.tasks.casd import HOST, Casd, Serve, missing, programs, serve
from tests.tasks.toy import BUSYBOX, ROOT, Checkout, until

# Shown only to Actions that ask for it, so the root of a compiler stays what it is.
SHOWN = tuple(f"host:{each}" for each in HOST)
PLATFORM = "OSFamily=linux,unixUID=1000,inject=host"
LOCK = "plan/objects.lock.yaml"
FILES = 6
# As Ninja starts a compiler that CMake gave a launcher.
COMPILE = """\
IFS=';'
for file in /source/*.cpp; do
  ${CMAKE_CXX_COMPILER_LAUNCHER-} /usr/lib/llvm-19/bin/clang++ -O2 -I/source/include -MD \
    -MF one.d -c "$file" -o "$(basename "$file").o"
done
"""

__all__ = ["programs", "serve"]
pytestmark = pytest.mark.namespace


def test_what_objects_takes(toy: Checkout) -> None:
    recipes = toy.project().plan.recipes
    with pytest.raises(BuildError, match="CMake does not build bottom"):
        require_objects(["bottom"], recipes)
    done = toy.doit("pkg", "objects=bottoms", "remote=grpc://127.0.0.1:9")
    assert done.status != 0 and "bottoms is no package" in done.said, done
    done = toy.doit("pkg", "objects=a b")
    assert done.status != 0 and "names of packages, separated by commas" in done.said, done


def test_casd_that_does_not_start_is_told_with_its_own_reason(
    toy: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not with that of the try before."""
    from cache.reapi import ServerFailed
    from tasks.engine import casd

    over = threading.Event()

    def refuses(*_: object, **__: object) -> None:
        raise BuildError("no namespaces here")

    def hangs(*_: object, **__: object) -> list[Result]:
        over.wait(20)
        return [Result(0, 0, 0, 0)]

    monkeypatch.setattr(casd, "root_online", lambda *_, **__: {})
    monkeypatch.setattr(casd.Casd, "_sandbox", lambda _: None)
    made = casd.Casd(toy.project(remote="grpc://127.0.0.1:9"), tmp_path, tmp_path / "casd")
    waits = (refuses, 60, "no namespaces here"), (hangs, 0.3, "has no socket after 0.3 s")
    for enter, seconds, reason in waits:
        monkeypatch.setattr(casd, "_WAIT", seconds)
        monkeypatch.setattr(casd, "enter", enter)
        with pytest.raises(ServerFailed, match=reason):
            made.start()
    over.set()


@pytest.fixture(scope="module")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pinned programs, unpacked once for all tests."""
    from tasks.engine.casd import programs

    if lacking := missing():
        pytest.skip(lacking)
    workdir = tmp_path_factory.mktemp("launcher") / "work"
    try:
        return programs(open_project({"workdir": str(workdir)}, os.environ))
    except BuildError as error:
        pytest.skip(f"needs the programs in plan/objects.lock.yaml: {error.message}")


@pytest.fixture
def ready(toy: Checkout, launcher: Path) -> Checkout:
    """A toy checkout that has the pinned programs."""
    shutil.copy(ROOT / LOCK, toy.root / LOCK)
    place = toy.root / "work" / "objects" / launcher.name
    place.parent.mkdir(parents=True)
    place.symlink_to(launcher)
    return toy


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build root with the clang of the seed debian, what it loads, and a shell."""
    found = sorted((own_cache() / "trees").glob("seed-*/usr/lib/llvm-19/bin/clang"))
    if not found or not BUSYBOX.exists():
        pytest.skip("needs the seed debian unpacked (./bq2 seed seed=debian) and busybox-static")
    clang, seed = found[0], found[0].parents[4]
    made = tmp_path_factory.mktemp("compiler") / "root"
    libraries = made / "usr" / "lib" / "x86_64-linux-gnu"
    for each in (libraries, made / "usr" / "bin", made / "usr" / "lib64"):
        each.mkdir(parents=True)
    for name in ("bin", "lib", "lib64"):
        (made / name).symlink_to(f"usr/{name}")
    for path in _loaded(seed, clang):
        shutil.copy(path, libraries / path.name)
    (made / "usr/lib64/ld-linux-x86-64.so.2").symlink_to(
        "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
    )
    programs = made / "usr" / "lib" / "llvm-19" / "bin"
    programs.mkdir(parents=True)
    shutil.copy(clang, programs / "clang")
    (programs / "clang++").symlink_to("clang")
    shutil.copy(BUSYBOX, made / "usr" / "bin" / "busybox")
    for name in ("sh", "cat", "basename"):
        (made / "usr" / "bin" / name).symlink_to("busybox")
    return made


def _loaded(seed: Path, program: Path) -> list[Path]:
    """The libraries that `program` loads, by the loader of `seed`, and the loader."""
    libraries = seed / "usr" / "lib" / "x86_64-linux-gnu"
    loader = libraries / "ld-linux-x86-64.so.2"
    command = [loader, "--library-path", libraries, "--list", program]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    names = (Path(line.split()[0]).name for line in said.splitlines() if " => " in line)
    return [loader, *(libraries / name for name in names if name != loader.name)]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    directory = tmp_path / "source"
    (directory / "include").mkdir(parents=True)
    (directory / "include" / "shared.h").write_text("template <int N> int f() { return N; }\n")
    for n in range(FILES):
        text = f'#include "shared.h"\nint g{n}() {{ return f<{n}>() + __LINE__; }}\n'
        (directory / f"{n}.cpp").write_text(text)
    return directory


class Compiled:
    """What building the step of `project` gave."""

    def __init__(self, project: Project, place: Sandbox, results: Sequence[Result]) -> None:
        self.place, self.cpu = place, sum(each.cpu for each in results)
        self.log = (place.directory / "log").read_text()
        objects = (place.directory / "new-build").glob("*.o")
        self.objects = {each.name: each.read_bytes() for each in objects}
        self.notes = [e for e in _events(project) if '"note"' in e]


def _events(project: Project) -> list[str]:
    file = project.workdir / "events.jsonl"
    return file.read_text().splitlines() if file.exists() else []


def _place(project: Project, root: Path, source: Path, name: str, script: str) -> Builder:
    step = project.plan.phases[SYSROOT_FROM_SEED]["bottom"]
    commands = (Command(("sh", "-euc", script), "/build"),)
    builder = Builder(project, replace(step, commands=commands, sources=(), additions=()))
    builder.directory = project.workdir / name
    return builder


def compiled(
    project: Project, root: Path, source: Path, *, here: bool = False, script: str = COMPILE
) -> Compiled:
    """Compile `source` in a sandbox with the build root `root`: on the workers, or here."""
    builder = _place(project, root, source, "here" if here else "there", script)
    inputs = Inputs([root], [], source, {}, {})
    place = prepare(
        builder.step, inputs, builder.directory, overlay=project.overlay, jobs=project.jobs
    )
    if here:
        results = run_commands(builder.step, place)
    else:
        assert project.objects
        results = project.objects.run(builder, place, 0)
    return Compiled(project, place, results)


def _project(ready: Checkout, casd: Casd) -> Project:
    project = ready.project(remote=f"grpc://127.0.0.1:{casd.port}", platform=PLATFORM)
    project.events.begin()
    return project


def test_workers_compile_the_same_objects(
    ready: Checkout, root: Path, source: Path, serve: Serve
) -> None:
    project = _project(ready, serve(SHOWN))
    there, here = compiled(project, root, source), compiled(project, root, source, here=True)
    assert len(here.objects) == FILES and there.objects == here.objects, there.log
    assert not there.notes, there.notes
    assert "falling back" not in there.log


@pytest.mark.fault(
    "a Remote Execution server that is killed while workers compile for `objects=`",
    "the other files are compiled here, with the same bits; one line says how many",
)
def test_a_server_that_goes_away(ready: Checkout, root: Path, source: Path, serve: Serve) -> None:
    casd = serve(SHOWN)
    project = _project(ready, casd)
    first = project.workdir / "there" / "new-build" / "0.cpp.o"

    def kill() -> None:
        until(first.exists, "the first object")
        casd.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    there = compiled(project, root, source)
    killer.join()
    assert there.objects == compiled(project, root, source, here=True).objects
    assert len(there.notes) == 1 and "were compiled here" in there.notes[0], there.notes


@pytest.mark.fault(
    "a worker that shows its own /usr to a compiler, or whose every Action fails",
    "it compiles nothing; one line says so, and the package is compiled here",
)
@pytest.mark.parametrize(
    ("shown", "runner"), [(HOST, ""), (SHOWN, "#!/bin/sh\necho it is broken >&2\nexit 3\n")]
)
def test_a_worker_that_cannot_compile(
    ready: Checkout, root: Path, source: Path, serve: Serve, shown: Sequence[str], runner: str
) -> None:
    project = _project(ready, serve(shown, runner))
    there = compiled(project, root, source)
    assert len(there.objects) == FILES, there.log
    assert len(there.notes) == 1 and "built here" in there.notes[0], there.notes


def test_a_build_reaches_no_file_of_the_user(
    ready: Checkout, root: Path, source: Path, serve: Serve
) -> None:
    """casd serves calls that read files: it sees its own directories only."""
    project = _project(ready, serve(SHOWN))
    compiled(project, root, source)
    spec = (project.workdir / "objects" / "casd" / "sandbox.json").read_text()
    assert '"cmdline"' not in spec
    binds = [line for line in spec.splitlines() if '"bind"' in line]
    own = str(project.workdir / "objects")
    assert binds and all(own in line for line in binds), binds
