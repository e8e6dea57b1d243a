"""rootfs.sandbox.edits: a person's edits on top of the build's own writes.

tests/tasks/test_patch.py tests the whole way to a patch.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from plan.model import Command
from rootfs.sandbox.compose import Composer
from rootfs.sandbox.edits import (
    find,
    for_a_person,
    saved,
    set_aside,
    source_layers,
    touched,
    unsaved,
)
from rootfs.sandbox.enter import Sandbox, enter
from tests.rootfs.tools import make_tree
from tests.tasks.toy import make_seed

pytestmark = pytest.mark.namespace


def edited(directory: Path, *, overlay: bool) -> Sandbox:
    """A place whose source a build wrote into, then a person in two visits."""
    files = {"a": b"a", "b": b"b", "c": b"c", "sub/d": b"d", "sub/deep/e": b"e"}
    source = make_tree(directory / "source", files)
    seed = make_seed(directory / "seed")
    for name in ("proc", "dev", "source"):
        (seed / name).mkdir()
    composer = Composer(directory / "build", overlay)
    mounts = [composer.writable("/source", source)]
    place = Sandbox(directory / "build", composer.readonly("/", [seed]), mounts, {"PATH": "/bin"})
    run(place, "echo built > a; echo built > made; rm b")
    place = for_a_person(place)
    run(place, "echo mine > c; rm -r sub; mkdir -p sub/deep; echo mine > sub/deep/f")
    place = for_a_person(place)
    run(place, "echo mine > new; cat c")
    return place


def run(place: Sandbox, script: str) -> None:
    commands = [Command(("sh", "-euc", script), "/source")]
    assert enter(place, commands, log=place.directory / "log")[-1].status == 0


@pytest.mark.parametrize("overlay", [True, False], ids=["overlay", "copy"])
def test_only_what_a_person_did_is_touched(tmp_path: Path, overlay: bool) -> None:
    place = edited(tmp_path, overlay=overlay)
    assert touched(place) == ["c", "new", "sub/d", "sub/deep/e", "sub/deep/f"]
    layers = source_layers(place)
    for path, content in (("a", "built\n"), ("c", "mine\n"), ("sub/deep/f", "mine\n")):
        found = find(layers, path)
        assert found and found.read_text() == content
    for path in ("b", "sub/d", "sub/deep/e", "nothing", "a/below"):
        assert find(layers, path) is None, path


@pytest.mark.fault(
    "a person edits, builds again, edits and builds again; a machine without overlay",
    "all edits are kept: each time in a directory of its own",
)
@pytest.mark.parametrize("overlay", [True, False], ids=["overlay", "copy"])
def test_earlier_edits_stay(tmp_path: Path, overlay: bool) -> None:
    (tmp_path / "build.edits").mkdir()
    place = edited(tmp_path, overlay=overlay)
    assert unsaved(place.directory)
    kept = set_aside(place.directory)
    assert kept == tmp_path / "build.edits-2"
    assert (kept / "c").read_text() == "mine\n" and (kept / "sub/deep/f").exists()
    assert not [path for path in ("a", "made") if (kept / path).exists()], "of the build"


def test_edits_are_set_aside_unless_they_are_saved(tmp_path: Path) -> None:
    place = edited(tmp_path, overlay=True)
    saved(place.directory)
    assert set_aside(place.directory) is None
    place = for_a_person(place)
    kept = set_aside(place.directory)
    assert (
        kept and (kept / "c").read_text() == "mine\n" and not (place.directory / "edits").exists()
    )
    assert set_aside(place.directory) is None
