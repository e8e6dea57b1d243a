"""rootfs.sandbox.compose: the mounts that stack trees; the sandbox tests mount them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from plan.errors import BuildError
from rootfs.sandbox.compose import Composer, bound, scratch
from tests.rootfs.tools import make_tree, snapshot


@pytest.fixture
def layers(tmp_path: Path) -> list[Path]:
    lower = make_tree(tmp_path / "lower", {"usr/a": b"low", "usr/b": b"low", "usr/lib/x": b"x"})
    (lower / "usr/lib").chmod(0o1755)
    (lower / "usr/c").hardlink_to(lower / "usr/b")
    upper = make_tree(tmp_path / "upper", {"usr/a": b"up", "usr/lib/y": b"y"})
    (upper / "usr/lib").chmod(0o1755)
    (upper / "usr/b").symlink_to("a")
    return [lower, upper]


def test_overlays_are_described_top_first(tmp_path: Path, layers: list[Path]) -> None:
    composer = Composer(tmp_path / "own", overlay=True)
    lower, upper = map(os.fspath, layers)
    assert composer.readonly("/at", layers) == {"at": "/at", "overlay": [upper, lower]}
    assert composer.readonly("/at", layers[:1]) == bound("/at", layers[0])
    mount = composer.writable("/source", layers[0])
    assert mount["overlay"] == [lower]
    assert Path(mount["upper"]).is_dir() and Path(mount["work"]).is_dir()
    new = composer.writable("/build", None)
    assert new["writable"] and list(Path(new["bind"]).iterdir()) == []
    assert scratch("/tmp") == {"at": "/tmp", "tmpfs": "mode=1777,size=25%"}
    Path(new["bind"], "left over").touch()
    again = composer.writable("/build", None)
    assert list(Path(again["bind"]).iterdir()) == []


def test_links_give_the_same_tree_without_copying(tmp_path: Path, layers: list[Path]) -> None:
    composer = Composer(tmp_path / "own", overlay=False)
    old = os.umask(0o077)
    try:
        mount = composer.readonly("/sysroot", layers)
    finally:
        os.umask(old)
    tree = Path(mount["bind"])
    assert not mount["writable"]
    expected = snapshot(layers[0]) | snapshot(layers[1])
    assert {name: value[:2] for name, value in snapshot(tree).items()} == {
        name: value[:2] for name, value in expected.items()
    }
    assert (tree / "usr/a").samefile(layers[1] / "usr/a")
    assert (tree / "usr/c").samefile(layers[0] / "usr/b")
    assert list(Path(composer.readonly("/none", [])["bind"]).iterdir()) == []


def test_what_may_be_written_to_is_a_copy(tmp_path: Path, layers: list[Path]) -> None:
    before = snapshot(layers[0])
    mount = Composer(tmp_path / "own", overlay=False).writable("/source", layers[0])
    tree = Path(mount["bind"])
    assert mount["writable"]
    (tree / "usr/a").write_text("changed in place")
    (tree / "usr/lib/new").touch()
    assert snapshot(layers[0]) == before
    times = [(top / "usr/lib/x").stat().st_mtime_ns for top in (tree, layers[0])]
    assert times[0] == times[1], "make would take copied sources for changed"


def test_contradicting_layers_are_an_error(tmp_path: Path, layers: list[Path]) -> None:
    odd = make_tree(tmp_path / "odd", {"usr/lib": b"a file"})
    with pytest.raises(BuildError, match="is not a directory"):
        Composer(tmp_path / "own", overlay=False).readonly("/at", [*layers, odd])
