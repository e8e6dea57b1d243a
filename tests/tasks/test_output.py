"""output=: every command replaces only regular files, and follows symbolic links."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from tests.tasks.toy import Checkout

pytestmark = pytest.mark.namespace

COMMANDS = ("image", "sysroot", "oci", "sbom", "report", "bundle")


def make(kind: str, path: Path) -> Path:
    """Something of `kind` at `path`; devices cannot be made by everybody, so null stands for it."""
    if kind == "directory":
        path.mkdir()
    elif kind == "FIFO":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(os.fspath(path))
    else:
        path.symlink_to("/dev/null")
    return path


@pytest.mark.fault(
    "output= names a directory, a FIFO, a socket or a device",
    "it stays; the error says what to do instead; nothing is built",
)
@pytest.mark.parametrize(
    ("command", "kind"),
    [
        *(("image", kind) for kind in ("directory", "socket", "character device")),
        *((command, "FIFO") for command in COMMANDS),
    ],
)
def test_what_is_no_file_stays(toy: Checkout, command: str, kind: str) -> None:
    path = make(kind, toy.root / "out")
    before = path.stat()
    done = toy.doit(command, "output=out")
    assert done.status != 0 and done.built == [] and "Traceback" not in done.said, done
    assert "output cannot be 'out'" in done.said and f"it is a {kind}: name a file" in done.said
    assert os.path.samestat(before, path.stat()) and path.stat().st_mode == before.st_mode


@pytest.mark.fault("output= names a device node", "it stays a device; the remedy names qemu-img")
def test_a_device_node_stays(built: Checkout) -> None:
    node = built.root / "node"
    try:
        os.mknod(node, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root of the machine makes device nodes")
    done = built.doit("image", f"output={node}")
    assert done.status != 0 and "qemu-img convert" in done.said, done
    assert node.is_char_device()


@pytest.mark.fault("output= is a link to a file", "the file is replaced, the link stays")
@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "bundle"])
def test_a_link_is_followed(built: Checkout, tmp_path: Path, command: str) -> None:
    (tmp_path / "there").mkdir()
    end, link = tmp_path / "there" / "file", tmp_path / "link"
    end.write_text("old")
    link.symlink_to(end)
    done = built.doit(command, f"output={link}")
    assert done.status == 0 and link.is_symlink() and link.readlink() == end, done
    assert end.read_bytes() != b"old" and stat.S_ISREG(end.lstat().st_mode)
    assert list((tmp_path / "there").iterdir()) == [end]
    if command in ("image", "sysroot", "oci"):
        again = built.doit(command, f"output={link}")
        assert f"{command} is up to date" in again.said, again


@pytest.mark.fault(
    "output= is a link to nothing", "the file is made; without its directory: one error"
)
def test_a_link_to_nothing(built: Checkout, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("there/file")
    words = ("sbom", f"output={tmp_path / 'link'}")
    refused = built.doit(*words)
    assert refused.status != 0 and "whose directory does not exist" in refused.said
    (tmp_path / "there").mkdir()
    assert built.doit(*words).status == 0
    assert (tmp_path / "there" / "file").is_file() and (tmp_path / "link").is_symlink()


@pytest.mark.fault("a device lies where a product goes by itself", "it stays; one error")
def test_the_default_place(built: Checkout) -> None:
    path = built.root / "output" / "bootstrap-qcow2-base-x86_64.qcow2"
    path.parent.mkdir()
    os.mkfifo(path)
    done = built.doit("image")
    assert done.status != 0 and "it is a FIFO" in done.said and "Traceback" not in done.said
    assert path.is_fifo()
