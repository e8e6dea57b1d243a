"""rootfs.image.initramfs: GNU cpio lists what the kernel unpacks."""

from __future__ import annotations

import io
import json
from pathlib import Path

from rootfs.image.initramfs import write_initramfs
from tests.rootfs.tools import make_tree, tool

IMAGE = {"name": "x", "packages": [{"name": "musl", "version": "1"}], "arch": "x86_64"}


def archive(*layers: Path) -> bytes:
    out = io.BytesIO()
    write_initramfs(layers, out, exclude=["usr/include"], image=IMAGE)
    return out.getvalue()


def test_nodes_files_and_what_it_is(tmp_path: Path) -> None:
    frame = make_tree(tmp_path / "frame", {"etc/passwd": b"root", "init": b"#!/bin/sh\n"})
    (frame / "dev").mkdir()
    (frame / "init").chmod(0o755)
    other = make_tree(tmp_path / "other", {"usr/include/x.h": b"", "usr/bin/y": b""})
    data = archive(frame, other)
    rows = [line.split() for line in tool("cpio", "-tvn", stdin=data).splitlines()]
    found = {row[-1]: (row[0], " ".join(row[2:6])) for row in rows}
    assert found["."][0] == "drwxr-xr-x"
    assert found["dev/console"] == ("crw-------", "0 0 5, 1")
    assert found["dev/null"] == ("crw-rw-rw-", "0 0 1, 3")
    assert found["init"][0] == "-rwxr-xr-x"
    names = [row[-1] for row in rows]
    assert len(names) == len({*names})
    assert {"etc/passwd", "etc/bq2", "usr/bin/y"} <= {*names}
    assert "usr/include" not in names
    told = tool("cpio", "-i", "--to-stdout", "--quiet", "etc/bq2/image.json", stdin=data)
    assert json.loads(told) == IMAGE
    assert archive(frame, other) == data


def test_without_any_tree_it_still_has_a_console() -> None:
    assert "dev/console" in tool("cpio", "-t", stdin=archive()).split()
