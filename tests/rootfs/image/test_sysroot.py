"""rootfs.image.sysroot: GNU tar reads the tarball; tests/tasks/ checks all its contents."""

from __future__ import annotations

from pathlib import Path

import pytest

from plan.errors import BuildError
from plan.outputs import replacing
from rootfs.image.sysroot import write_sysroot
from rootfs.image.workspace import Workspace
from tests.rootfs.tools import make_tree, tool

OWN = [("bq2", b"#!/bin/sh\n", True), ("plan/deep/x.yaml", b"x", False)]


def write(out: Path, layers: list[Path], sources: list[Path]) -> list[str]:
    """Write a tarball; "mode name" of each member."""
    packages = {layer.name: layer for layer in layers}
    workspace = Workspace(OWN, "{}\n", {"name": "toy"}, packages, sources)
    scratch = layers[0].parent / "scratch"
    with replacing(out) as file:
        write_sysroot(
            file, layers=layers, exclude=["usr/src"], workspace=workspace, scratch=scratch
        )
    lines = tool("tar", "-tv", "-f", out).splitlines()
    return [f"{line.split()[0]} {line.split()[-1]}" for line in lines]


@pytest.fixture
def layers(tmp_path: Path) -> list[Path]:
    return [
        make_tree(tmp_path / "one", {"usr/a": b"1", "usr/src/left": b"out"}),
        make_tree(tmp_path / "two", {"usr/b": b"2"}),
    ]


def test_the_members_and_their_modes(tmp_path: Path, layers: list[Path]) -> None:
    cache = make_tree(tmp_path / "cache", {"b" * 64: b"beta", "a" * 64: b"alpha"})
    (cache / ("b" * 64)).chmod(0o600)
    (cache / ("a" * 64)).chmod(0o444)
    out = tmp_path / "new" / "out.tar"
    assert write(out, layers, [cache / ("b" * 64), cache / ("a" * 64)]) == [
        *("drwxr-xr-x etc/", "drwxr-xr-x etc/bq2/", "drwxr-xr-x etc/bq2/files/"),
        *("-rw-r--r-- etc/bq2/files/one", "-rw-r--r-- etc/bq2/files/two"),
        "-rw-r--r-- etc/bq2/image.json",
        *("drwxr-xr-x usr/", "-rw-r--r-- usr/a", "-rw-r--r-- usr/b"),
        "drwxr-xr-x workspace/",
        "drwxr-xr-x workspace/bootstrap-qcow2/",
        "-rwxr-xr-x workspace/bootstrap-qcow2/bq2",
        "drwxr-xr-x workspace/bootstrap-qcow2/plan/",
        "drwxr-xr-x workspace/bootstrap-qcow2/plan/deep/",
        "-rw-r--r-- workspace/bootstrap-qcow2/plan/deep/x.yaml",
        "drwxr-xr-x workspace/cache/",
        "drwxr-xr-x workspace/cache/sources/",
        "-rw-r--r-- workspace/plan.json",
        f"-r--r--r-- workspace/cache/sources/{'a' * 64}",
        f"-r--r--r-- workspace/cache/sources/{'b' * 64}",
    ]
    shown = tool("tar", "-x", "-O", "-f", out, "etc/bq2/files/one")
    assert shown == "usr\nusr/a\nusr/src\nusr/src/left\n"
    shown = tool("tar", "-x", "-O", "-f", out, f"workspace/cache/sources/{'b' * 64}")
    assert shown == "beta"


def test_without_sources_there_is_still_a_place_for_them(
    tmp_path: Path, layers: list[Path]
) -> None:
    names = write(tmp_path / "out.tar", layers, [])
    assert "drwxr-xr-x workspace/cache/sources/" in names


def test_it_is_there_whole_or_not_at_all(tmp_path: Path, layers: list[Path]) -> None:
    out = tmp_path / "output" / "out.tar"
    write(out, layers, [])
    before = out.read_bytes()
    contradiction = make_tree(tmp_path / "three", {"usr": b"a file"})
    with pytest.raises(BuildError):
        write(out, [*layers, contradiction], [])
    with pytest.raises(OSError, match="gone"):
        write(out, layers, [tmp_path / "gone"])
    assert out.read_bytes() == before
    assert list(out.parent.iterdir()) == [out]
