"""Writes the initramfs: the packages' files, device nodes, and a description of the image.

trees ─┐
nodes ─┼─▶ newc cpio, the same bytes for the same inputs
image ─┘   (/etc/bq2/image.json; /etc/bq2/root: the UUID of the root file system, if it has one)
"""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from plan.compiling.toolchain import SOURCE_DATE_EPOCH
from rootfs.archives.cpio import TOP, Node, character_device, directory, write_cpio

# The kernel opens /dev/console for init before it mounts anything. Major and minor numbers:
# the kernel's Documentation/admin-guide/devices.txt.
# Without an entry for its own top, "/" keeps the mode of a new tmpfs: everyone may write there.
NODES = (
    directory(TOP),
    directory("dev"),
    character_device("dev/console", 5, 1, 0o600),
    character_device("dev/null", 1, 3, 0o666),
    directory("etc"),
    directory("etc/bq2"),
)


def write_initramfs(
    layers: Sequence[Path], out: IO[bytes], *, exclude: Sequence[str], image: Mapping[str, Any]
) -> None:
    """Write the merged `layers` without the globs `exclude`, and the description `image`.

    Raises BuildError if a path is a directory in one tree and a file in another.
    """
    text = json.dumps(image, indent=1).encode() + b"\n"
    told = [Node("etc/bq2/image.json", stat.S_IFREG | 0o644, content=text)]
    if root := image.get("root"):
        told.append(Node("etc/bq2/root", stat.S_IFREG | 0o644, content=f"{root}\n".encode()))
    write_cpio(layers, out, mtime=SOURCE_DATE_EPOCH, extra=(*NODES, *told), exclude=exclude)
