"""The initramfs: the files of the packages, the nodes that no tree can hold, and what it is.

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

from plan.toolchain import SOURCE_DATE_EPOCH
from rootfs.cpio import Node, character_device, directory, write_cpio

# The kernel opens /dev/console for init before anything is mounted. Major and minor numbers:
# the kernel's Documentation/admin-guide/devices.txt.
NODES = (
    directory("dev"),
    character_device("dev/console", 5, 1, 0o600),
    character_device("dev/null", 1, 3, 0o666),
    directory("etc"),
    directory("etc/bq2"),
)


def write_initramfs(
    layers: Sequence[Path], out: IO[bytes], *, leave: Sequence[str], image: Mapping[str, Any]
) -> None:
    """Write the composed `layers` less the globs `leave`, and what `image` says of the image.

    Raises BuildError where trees contradict each other.
    """
    text = json.dumps(image, indent=1).encode() + b"\n"
    told = [Node("etc/bq2/image.json", stat.S_IFREG | 0o644, content=text)]
    if root := image.get("root"):
        told.append(Node("etc/bq2/root", stat.S_IFREG | 0o644, content=f"{root}\n".encode()))
    write_cpio(layers, out, mtime=SOURCE_DATE_EPOCH, extra=(*NODES, *told), leave=leave)
