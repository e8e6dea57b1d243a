"""rootfs.sandbox.step: one step, from its inputs to the packed result, in a root of busybox."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from plan.compiling.toolchain import PATHS
from plan.errors import BuildError
from plan.model import Addition, Command, Step
from rootfs.sandbox.enter import Sandbox
from rootfs.sandbox.jobserver import JobServer
from rootfs.sandbox.step import Inputs, Packed, StepFailed, pack_result, prepare, run_commands
from tests.rootfs.tools import make_tree, snapshot, tool
from tests.tasks.toy import make_seed

pytestmark = pytest.mark.namespace


def laid_out(step: Step, inputs: Inputs, directory: Path, *, overlay: bool, jobs: int) -> Sandbox:
    server = JobServer(directory.parent / "jobs", jobs)
    return prepare(step, inputs, directory, overlay=overlay, jobs=server)


def scripted(*scripts: str, remove: tuple[str, ...] = (), files: tuple[str, ...] = ()) -> Step:
    return Step(
        name="toy",
        phase="sysroot-from-seed",
        version="1",
        sources=(),
        files=tuple((name, "") for name in files),
        depends=(),
        tools=(),
        environment=(("PATH", "/usr/bin"), ("GREETING", "hello")),
        commands=tuple(Command(("sh", "-euc", script), "/source") for script in scripts),
        remove=remove,
        additions=(
            Addition("/toolchain/target.cfg", "--target\n"),
            Addition("/usr/lib/loader", "/sysroot/usr/lib/libc.so", link=True),
        ),
    )


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_seed(tmp_path_factory.mktemp("step") / "seed")


@pytest.fixture
def inputs(tmp_path: Path, seed: Path) -> Inputs:
    given = tmp_path / "given"
    recipe = make_tree(given / "recipe", {"patches/one.patch": b"--- a", "init": b"#!/bin/sh\n"})
    (recipe / "init").chmod(0o700)
    return Inputs(
        build_root=[seed],
        sysroot=[
            make_tree(given / "one", {"usr/lib/a": b"one\n"}),
            make_tree(given / "two", {"usr/lib/a": b"two\n", "usr/lib/b": b"two\n"}),
        ],
        source=make_tree(given / "source", {"main.c": b"int\n", "sub/x": b"x"}),
        recipe={name: recipe / name for name in ("init", "patches/one.patch")},
        files={"second.tar": make_tree(given / "files", {"f": b"second\n"}) / "f"},
    )


LOOK = """
pwd; ls; cat main.c; echo changed > main.c; touch sub/new; ls /build
cat /sysroot/usr/lib/a /sysroot/usr/lib/b /input/second.tar /toolchain/target.cfg
readlink /usr/lib/loader; ls -R /recipe; cat /recipe/init; echo $GREETING $JOBS $MAKEFLAGS
mkdir -p /dest/usr/share/doc /dest/usr/bin; echo > /dest/usr/share/doc/x
cp /recipe/init /dest/usr/bin; cp main.c /dest/usr/share; touch /build/x
"""
SAID = """/source main.c sub int two two second --target /sysroot/usr/lib/libc.so
/recipe: init patches /recipe/patches: one.patch #!/bin/sh hello 3 -j3
--jobserver-auth=fifo:/jobserver"""


@pytest.mark.parametrize("overlay", [True, False], ids=["overlay", "links"])
def test_all_is_where_it_belongs_and_nothing_given_changes(
    tmp_path: Path, inputs: Inputs, overlay: bool
) -> None:
    before = snapshot(tmp_path / "given")
    step = scripted(LOOK, "true", remove=("usr/share/doc",), files=("patches/one.patch", "init"))
    directory = tmp_path / "directory"
    for _ in range(2):  # what an earlier attempt left is gone
        place = laid_out(step, inputs, directory, overlay=overlay, jobs=3)
        results = run_commands(step, place)
        assert [result.status for result in results] == [0, 0]
        said = (directory / "log").read_text().replace(f"+ sh -euc '{LOOK}'\n", "").split()
        assert said == [*SAID.split(), "+", "sh", "-euc", "true"]
    assert snapshot(tmp_path / "given") == before
    packed = pack_result(step, place, tmp_path)
    assert tool("tar", "-t", "-f", packed.file).split() == [
        *("usr/", "usr/bin/", "usr/bin/init", "usr/share/", "usr/share/main.c"),
    ]
    assert (packed.tree / "usr/bin/init").stat().st_mode & 0o777 == 0o644
    data = packed.file.read_bytes()
    assert (packed.sha256, packed.size) == (hashlib.sha256(data).hexdigest(), len(data))


@pytest.mark.fault("no overlay, and a umask of 077", "a step gives the same bytes as with both")
def test_the_way_of_composing_does_not_reach_the_result(tmp_path: Path, inputs: Inputs) -> None:
    step = scripted("cp -R /sysroot/. /source/. /dest; cp -R /toolchain /dest/usr")
    results: list[Packed] = []
    for overlay in (True, False):
        old = os.umask(0o022 if overlay else 0o077)
        try:
            place = laid_out(step, inputs, tmp_path / f"{overlay}", overlay=overlay, jobs=1)
        finally:
            os.umask(old)
        run_commands(step, place)
        results.append(pack_result(step, place, tmp_path))
    assert results[0].sha256 == results[1].sha256


def test_a_step_without_source_and_recipe(tmp_path: Path, inputs: Inputs) -> None:
    step = scripted("ls -A /source /recipe /input /sysroot; echo > /source/x")
    bare = replace(inputs, source=None, recipe={}, sysroot=[], files={})
    run_commands(
        step,
        laid_out(step, bare, tmp_path / "directory", overlay=True, jobs=1),
    )
    said = (tmp_path / "directory" / "log").read_text().splitlines()[1:]
    assert [line for line in said if line] == ["/input:", "/recipe:", "/source:", "/sysroot:"]


@pytest.mark.parametrize(
    ("last", "status"), [("echo said; exit 3", 3), ("echo said; kill -9 $$", 137)]
)
def test_a_failure_ends_the_step(tmp_path: Path, inputs: Inputs, last: str, status: int) -> None:
    step = scripted("true", last, "echo never > /build/never")
    place = laid_out(step, inputs, tmp_path / "directory", overlay=True, jobs=1)
    with pytest.raises(StepFailed) as caught:
        run_commands(step, place)
    error = caught.value
    assert str(error).startswith(f"pkg:toy (sysroot-from-seed): sh failed with status {status}")
    assert (error.command, error.result.status) == (step.commands[1], status)
    assert error.log == place.directory / "log" and "said\n" in error.log.read_text()
    assert not list(place.directory.rglob("never"))


def test_a_refused_result_leaves_nothing_in_the_store(tmp_path: Path, inputs: Inputs) -> None:
    step = scripted("echo > /dest/su; chmod 4755 /dest/su")
    place = laid_out(step, inputs, tmp_path / "directory", overlay=True, jobs=1)
    run_commands(step, place)
    store = tmp_path / "store"
    store.mkdir()
    with pytest.raises(BuildError, match="set-id"):
        pack_result(step, place, store)
    assert list(store.iterdir()) == []


def test_every_place_of_a_step_is_in_the_reference(tmp_path: Path, inputs: Inputs) -> None:
    place = laid_out(scripted("true"), inputs, tmp_path / "directory", overlay=True, jobs=1)
    writable = {
        mount["at"]: "upper" in mount or "tmpfs" in mount or mount.get("writable", False)
        for mount in (place.root, *place.mounts)
    }
    assert {"/source", "/build", "/dest", "/sysroot", "/recipe", "/jobserver"} <= writable.keys()
    for at, how in writable.items():
        known = PATHS["/input" if at.startswith("/input/") else at][1]
        assert known == ("writable" if how else "read-only"), at
    # Only a nested sandbox can write to it (make_proc in rootfs/sandbox/namespaces.py).
    assert PATHS["/proc"][1] == "read-only"
