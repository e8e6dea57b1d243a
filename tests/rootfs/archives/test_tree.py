"""rootfs.archives.tree: merged layers, compared with the result of cp."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plan.errors import BuildError
from rootfs.archives.tree import merge
from tests.rootfs.tools import contents, make_tree, quick, snapshot, tool

# Directories and files have names of their own, so that layers never clash.
paths = st.lists(st.sampled_from(["d1", "d2", "d-2", "D"]), max_size=3).flatmap(
    lambda above: st.sampled_from(["f1", "f2", "f.x", "\N{LATIN SMALL LETTER E WITH ACUTE}"]).map(
        lambda name: "/".join([*above, name])
    )
)
trees = st.dictionaries(paths, contents, max_size=8)


@quick
@given(layers=st.lists(trees, min_size=1, max_size=3))
def test_merging_is_copying_one_over_the_other(layers: list[dict[str, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        tops = [make_tree(Path(directory, str(n)), files) for n, files in enumerate(layers)]
        expected = make_tree(Path(directory, "expected"), {})
        for top in tops:
            tool("cp", "-a", f"{top}/.", expected)
        entries = merge(tops)
        assert {entry.path for entry in entries} == snapshot(expected).keys()
        names = [os.fsencode(entry.path) for entry in entries]
        assert names == sorted(names)
        for entry in entries:
            if entry.source.is_file():
                assert entry.source.read_bytes() == (expected / entry.path).read_bytes()


def test_a_directory_comes_before_what_is_in_it(tmp_path: Path) -> None:
    make_tree(tmp_path, {"a/b/c": b"", "a-b": b"", "a.b/x": b""})
    assert [e.path for e in merge([tmp_path])] == ["a", "a-b", "a.b", "a.b/x", "a/b", "a/b/c"]


@pytest.mark.parametrize(
    ("exclude", "dropped"),
    [
        ([], ""),
        (["lib"], "lib lib/a.la lib/deep lib/deep/b.la lib/deep/b.so"),
        (["/lib/"], "lib lib/a.la lib/deep lib/deep/b.la lib/deep/b.so"),
        (["li", "*.la", "LIB", "deep"], ""),
        (["lib/*.la"], "lib/a.la"),
        (["**/*.la"], "lib/a.la lib/deep/b.la"),
        (["lib/**/*.la", "bin"], "bin bin/sh lib/a.la lib/deep/b.la"),
        (["*/d??p"], "lib/deep lib/deep/b.la lib/deep/b.so"),
        (["b[a-i]n"], "bin bin/sh"),
        (["**"], "bin bin/sh lib lib/a.la lib/deep lib/deep/b.la lib/deep/b.so"),
    ],
)
def test_leave(tmp_path: Path, exclude: list[str], dropped: str) -> None:
    make_tree(
        tmp_path, dict.fromkeys(["bin/sh", "lib/a.la", "lib/deep/b.la", "lib/deep/b.so"], b"")
    )
    left = {entry.path for entry in merge([tmp_path], exclude=exclude)}
    assert {entry.path for entry in merge([tmp_path])} - left == set(dropped.split())


def test_later_layers_win_also_with_a_link_for_a_file(tmp_path: Path) -> None:
    lower = make_tree(tmp_path / "lower", {"bin/xz": b"", "bin/vi": b"lower", "only": b""})
    upper = make_tree(tmp_path / "upper", {"bin/vi": b"upper"})
    (upper / "bin/xz").symlink_to("busybox")
    sources = {entry.path: entry.source for entry in merge([lower, upper])}
    assert sources["bin/vi"] == upper / "bin/vi"
    assert sources["bin/xz"] == upper / "bin/xz"
    assert sources["only"] == lower / "only"


def test_a_directory_against_something_else_names_both(tmp_path: Path) -> None:
    one = make_tree(tmp_path / "one", {"usr/lib/x": b""})
    two = make_tree(tmp_path / "two", {"usr/lib": b""})
    three = make_tree(tmp_path / "three", {"usr/bin": b""})
    (three / "usr/lib").symlink_to("bin")
    for layers in ([one, two], [two, one], [one, three], [three, one]):
        with pytest.raises(BuildError) as caught:
            merge(layers)
        assert caught.value.where == "usr/lib"
        for layer in layers:
            assert str(layer / "usr/lib") in caught.value.message
    assert merge([one, two], exclude=["usr/lib"])


def test_hard_links_within_a_layer(tmp_path: Path) -> None:
    lower = make_tree(tmp_path / "lower", {"b": b"one", "d/x": b""})
    upper = make_tree(tmp_path / "upper", {"d/x": b""})
    for name in ("a", "c", "d/e"):
        (lower / name).hardlink_to(lower / "b")
    (upper / "f").hardlink_to(lower / "b")  # an accident of storage
    links = {entry.path: entry.link for entry in merge([lower, upper])}
    assert links == {"a": None, "b": "a", "c": "a", "d": None, "d/e": "a", "d/x": None, "f": None}
    make_tree(upper, {"a": b"replaces the first of the names"})
    links = {entry.path: entry.link for entry in merge([lower, upper])}
    assert (links["a"], links["b"], links["c"]) == (None, None, "b")


def test_what_cannot_be_merged(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="No such file or directory") as caught:
        merge([tmp_path / "absent"])
    assert str(tmp_path / "absent") in str(caught.value)
    file = make_tree(tmp_path / "tree", {"file": b""}) / "file"
    with pytest.raises(BuildError, match="Not a directory"):
        merge([file])
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(tmp_path / "tree/socket"))
        with pytest.raises(BuildError, match="is a socket"):
            merge([tmp_path / "tree"])
        assert [entry.path for entry in merge([tmp_path / "tree"], exclude=["socket"])] == ["file"]
