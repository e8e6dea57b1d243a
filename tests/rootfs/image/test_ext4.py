"""rootfs.image.ext4: a file system made in the sandbox, checked by e2fsck and debugfs.

mke2fs is the host's, in its own root. Only the project's own version must give the same bytes
twice: the full set tests that.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from plan.errors import BuildError
from rootfs.archives.tree import Entry, merge
from rootfs.image.ext4 import ROOM, _size, write_ext4
from rootfs.image.workspace import Workspace
from rootfs.sandbox.enter import overlay_works
from tests.rootfs.tools import make_tree, tool

pytestmark = pytest.mark.namespace
IDENTITY = UUID("12345678-1234-5678-9abc-123456789abc")
OWN = [("bq2", b"#!/bin/sh\n", True), ("plan/x.yaml", b"x", False)]


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with the host's mke2fs and all that it is linked to."""
    root = tmp_path_factory.mktemp("tools")
    program = shutil.which("mke2fs", path="/usr/sbin:/sbin:/usr/bin")
    assert program
    (root / "usr/bin").mkdir(parents=True)
    shutil.copy(program, root / "usr/bin/mke2fs")
    for path in re.findall(r"(/\S+) \(0x", tool("ldd", program)):
        (root / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, root / path.lstrip("/"))
    return root


def made(
    directory: Path, layers: list[Path], tools: Path, sources: list[Path], *, overlay: bool
) -> Path:
    workspace = Workspace(OWN, "{}\n", {"name": "toy"}, {}, sources)
    return write_ext4(
        directory / "fs",
        layers=layers,
        tools=[tools],
        exclude=["usr/src"],
        workspace=workspace,
        uuid=IDENTITY,
        overlay=overlay,
    )


def asked(image: Path, command: str) -> str:
    return tool("debugfs", "-R", command, image)


@pytest.mark.parametrize("overlay", [True, False])
def test_it_holds_what_it_was_given(tmp_path: Path, tools: Path, overlay: bool) -> None:
    if overlay and not overlay_works(tmp_path / "trial"):
        pytest.skip("no overlay for this user here")
    tree = make_tree(tmp_path / "tree", {"usr/share/a": b"a" * 5000, "usr/src/big": b"left"})
    (tree / "usr/share/link").symlink_to("a")
    cache = make_tree(tmp_path / "cache", {"f" * 64: b"source"})
    image = made(tmp_path, [tree], tools, [cache / ("f" * 64)], overlay=overlay)
    tool("e2fsck", "-fn", image)
    assert image.stat().st_size >= ROOM
    assert image.stat().st_blocks * 512 < 200 << 20, "the free room is a hole"
    said = tool("dumpe2fs", "-h", image)
    assert str(IDENTITY) in re.search(r"Filesystem UUID:.*", said)[0]  # type: ignore[index]
    assert str(IDENTITY) in re.search(r"Directory Hash Seed:.*", said)[0]  # type: ignore[index]
    assert asked(image, "cat /usr/share/a") == "a" * 5000
    assert asked(image, f"cat /workspace/cache/sources/{'f' * 64}") == "source"
    assert asked(image, "cat /workspace/bootstrap-qcow2/plan/x.yaml") == "x"
    assert 'Fast link dest: "a"' in asked(image, "stat /usr/share/link")
    assert "User:     0   Group:     0" in asked(image, "stat /usr/share/a")
    assert "Mode:  0755" in asked(image, "stat /workspace/bootstrap-qcow2/bq2")
    assert "big" not in asked(image, "ls /usr") + asked(image, "ls /usr/src")
    assert (tree / "usr/src/big").exists()


@pytest.mark.fault(
    "directories take more room in one file system than in another", "the image has the same size"
)
def test_the_size_is_that_of_the_contents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = make_tree(tmp_path / "tree", {"sub/a": b"a"})
    expected = _size([tree], [])

    def elsewhere(layers: list[Path]) -> list[Entry]:
        """The tree as a file system has it whose directories are larger."""
        found = merge(layers)
        for number, entry in enumerate(found):
            if entry.source.is_dir():
                status = [*entry.status]
                status[stat.ST_SIZE] = 12288
                found[number] = replace(entry, status=os.stat_result(status))
        return found

    monkeypatch.setattr("rootfs.image.ext4.merge", elsewhere)
    assert _size([tree], []) == expected


def test_what_mke2fs_says_is_told(tmp_path: Path, tools: Path) -> None:
    broken = make_tree(tmp_path / "broken", {"usr/bin/mke2fs": b"#!/nowhere\n"})
    with pytest.raises(BuildError, match="mke2fs failed with status") as caught:
        made(tmp_path, [], broken, [], overlay=False)
    assert "log" in str(caught.value.where)


def test_the_directory_of_an_earlier_attempt_is_emptied(tmp_path: Path, tools: Path) -> None:
    (tmp_path / "fs" / "out").mkdir(parents=True)
    (tmp_path / "fs" / "out" / "root.ext4").write_bytes(b"half")
    image = made(tmp_path, [], tools, [], overlay=False)
    tool("e2fsck", "-fn", image)


@pytest.mark.fault(
    "a cache whose files have the group of the directory above, another owner, mode or time",
    "an image shows none of it",
)
@pytest.mark.skipif(os.geteuid() != 0, reason="another owner can only be given by root")
@pytest.mark.parametrize("overlay", [True, False])
def test_owners_modes_and_times_are_not_those_of_the_cache(
    tmp_path: Path, tools: Path, overlay: bool
) -> None:
    tree = make_tree(tmp_path / "tree", {"usr/share/a": b"a"})
    sources = [tmp_path / "cache" / (letter * 64) for letter in "defg"]
    make_tree(tmp_path / "cache", {source.name: b"source" for source in sources})
    for source in sources:
        source.chmod(0o444)
    os.chown(tree / "usr/share", 4242, 4242)
    os.chown(tree / "usr/share/a", -1, 4242)
    sources[0].chmod(0o640)
    os.chown(sources[1], 4242, -1)
    os.chown(sources[2], -1, 4242)
    os.utime(sources[3], (1, 1))
    image = made(tmp_path, [tree], tools, sources, overlay=overlay)
    paths = ["/usr/share", "/usr/share/a"]
    paths += [f"/workspace/cache/sources/{source.name}" for source in sources]
    for path in paths:
        said = asked(image, f"stat {path}")
        assert "User:     0   Group:     0" in said and "1970" not in said, said
        assert "sources" not in path or "Mode:  0444" in said
        assert "sources" not in path or asked(image, f"cat {path}") == "source"
