"""tasks.engine.seeds.system: a system in a directory gives back the artifacts of its packages."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from cache.store import Store
from plan.errors import BuildError
from plan.model import Command, Initramfs, Step
from rootfs.image.workspace import Workspace
from rootfs.sandbox.step import pack_tree
from tasks.engine.seeds.system import System
from tests.rootfs.tools import make_tree, tool

STEP = Step(
    name="left",
    phase="rootfs-from-sysroot",
    version="1",
    sources=(),
    files=(),
    depends=("bottom",),
    tools=("busybox",),
    environment=(("PATH", "/usr/bin"),),
    commands=(Command(("sh", "-euc", "true"), "/source"),),
    remove=(),
    additions=(),
)


@pytest.fixture
def system(tmp_path: Path) -> System:
    """A root of two packages, one with a hard link, and what the workspace says of them."""
    left = make_tree(tmp_path / "left", {"usr/bin/left": b"#!/bin/sh\n", "usr/share/left": b"1"})
    (left / "usr/bin/left").chmod(0o755)
    (left / "usr/bin/other").hardlink_to(left / "usr/bin/left")
    (left / "usr/bin/link").symlink_to("/nowhere")
    bottom = make_tree(tmp_path / "bottom", {"usr/share/bottom": b"2"})
    trees = {"bottom": bottom, "left": left}
    made = {name: pack_tree(tree, name, tmp_path).sha256 for name, tree in trees.items()}
    image = {"packages": [{"name": name, "artifact": sha} for name, sha in made.items()]}
    plan = json.dumps({"digest": "plan", "steps": [asdict(STEP) | {"tools": []}]})
    root = tmp_path / "root"
    Workspace([], plan, image, trees, []).lay_out(root)
    for tree in trees.values():
        shutil.copytree(tree, root, symlinks=True, dirs_exist_ok=True)
    (root / "usr/bin/other").unlink()
    (root / "usr/bin/other").hardlink_to(root / "usr/bin/left")
    return System(root)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("BQ2_CACHE", str(tmp_path / "cache"))
    return Store()


def test_a_package_is_packed_anew_to_the_same_bytes(
    system: System, store: Store, tmp_path: Path
) -> None:
    record = system.adopt(STEP, "id", store)
    assert record and record.artifact == system.artifacts["left"]
    assert store.find("id") == record
    names = tool("tar", "-t", "-f", store.artifact(record.artifact)).split()
    assert "usr/share/left" in names and "usr/share/bottom" not in names
    assert list((tmp_path / "cache" / "trees").iterdir()) == []


def test_a_file_that_was_changed_is_noticed(system: System, store: Store, tmp_path: Path) -> None:
    (system.root / "usr/share/left").write_text("changed")
    assert system.adopt(STEP, "id", store) is None
    assert store.find("id") is None
    assert list((tmp_path / "cache" / "artifacts").iterdir()) == []


@pytest.mark.fault(
    "a package of the image lost a file to a later package",
    "it is kept aside: the package still counts as it was built",
)
def test_what_a_later_package_replaced_is_kept_aside(store: Store, tmp_path: Path) -> None:
    left = make_tree(tmp_path / "left", {"usr/bin/left": b"1", "usr/bin/both": b"left's"})
    (left / "usr/bin/tool").symlink_to("left")
    right = make_tree(tmp_path / "right", {"usr/bin/tool": b"2", "usr/bin/both": b"right's"})
    trees = {"left": left, "right": right}
    made = {name: pack_tree(tree, name, tmp_path).sha256 for name, tree in trees.items()}
    image = {"packages": [{"name": name, "artifact": sha} for name, sha in made.items()]}
    root = tmp_path / "root"
    for tree in trees.values():
        for path in tree.rglob("usr/bin/*"):
            (root / "usr/bin").mkdir(parents=True, exist_ok=True)
            (root / path.relative_to(tree)).unlink(missing_ok=True)
            shutil.copy2(path, root / path.relative_to(tree), follow_symlinks=False)
    over = Workspace([], "{}", image, trees, []).lay_out(tmp_path / "over")
    shutil.copytree(over, root, symlinks=True, dirs_exist_ok=True)
    system = System(root)
    for name, sha in made.items():
        record = system.adopt(replace(STEP, name=name), name, store)
        assert record and record.artifact == sha, name
    # All of them together are the system as it runs.
    whole = system.tree(trees, tmp_path / "whole")
    assert (whole / "usr/bin/both").read_bytes() == b"right's"
    assert not (whole / "usr/bin/tool").is_symlink()


def test_what_it_holds_depends_on_the_step_and_on_what_that_depends_on(system: System) -> None:
    depends = {"bottom": system.artifacts["bottom"]}
    assert system.holds(STEP, depends, "plan")
    # Where and by which tools it is done does not matter, what is done does.
    assert system.holds(replace(STEP, phase="sysroot-from-seed", tools=()), depends, "plan")
    other = Command(("sh", "-euc", "false"), "/source")
    assert not system.holds(replace(STEP, commands=(other,)), depends, "plan")
    # An initramfs tells of the whole plan, and this system's step has none.
    initramfs = Initramfs(("bottom",), ())
    assert not system.holds(replace(STEP, initramfs=initramfs), depends, "plan")
    assert not system.holds(replace(STEP, name="right"), depends, "plan")
    assert not system.holds(STEP, {"bottom": "f" * 64}, "plan")


def test_another_system_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="seed=self") as caught:
        System(tmp_path).artifacts  # noqa: B018
    assert "seed=debian" in str(caught.value)
