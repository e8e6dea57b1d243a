"""The root of what has the host's network: the same root, with the host's names in /etc.

root ◀── a layer with copies of the host's /etc/hosts and /etc/resolv.conf

Only `doit shell network=yes` and the casd of objects= (tasks/engine/casd.py) use it. No step has a
network.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rootfs.archives.files import fresh_directory
from rootfs.sandbox.compose import Composer, layers
from rootfs.sandbox.enter import Sandbox

# resolv.conf(5), hosts(5): both C libraries read these.
NAMES = ("hosts", "resolv.conf")


def root_online(place: Sandbox, *, overlay: bool, etc: Path = Path("/etc")) -> dict[str, Any]:
    """The mount that replaces the root of `place` where it has the network: see enter().

    etc: the directory with the host's NAMES; those that it lacks are left out.
    """
    directory = fresh_directory(place.directory / "online")
    layer = directory / "layer"
    (layer / "etc").mkdir(parents=True)
    for name in NAMES:
        if (etc / name).exists():  # also through a link, as systemd-resolved makes one
            (layer / "etc" / name).write_bytes((etc / name).read_bytes())
    return Composer(directory, overlay).readonly("/", [*layers(place.root), layer])
