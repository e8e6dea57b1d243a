"""What a machine says of itself, and why it cannot be updated, each with a remedy.

the answer of the step "look" ──▶ Facts ──fitting──▶ the place that the next image goes to
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from plan.errors import BuildError
from rootfs.push.reach import Answer

LOADER, KERNEL = "LOADER.EFI", "KERNEL.EFI"
OTHER = {"A": "B", "B": "A"}


@dataclass(frozen=True)
class Parts:
    """What a place holds: the sha256 of its loader and of its kernel."""

    loader: str
    kernel: str


@dataclass(frozen=True)
class Esp:
    """An EFI system partition with two places.

    kept: the place that each start takes. tried: that of the next start only, or "-". started: that
    of the last start, or "-" if it was overwritten since. token: that of the last update.
    places: what they hold, if they are complete. starter: the sha256 of what the firmware starts.
    """

    device: str
    kept: str
    tried: str
    started: str
    token: str
    places: Mapping[str, Parts]
    starter: str

    @property
    def next(self) -> str:
        """The place that an update may write: never the one that each start takes."""
        return OTHER[self.kept]


@dataclass(frozen=True)
class Facts:
    """boot: differs after each start. keys: lines of keys that are there again after a start.

    esps: the ESPs with two places. others: the devices of ESPs that start a kernel by themselves.
    unreadable: those that cannot be mounted. image: /etc/bq2/image.json.
    """

    boot: str
    keys: int
    esps: tuple[Esp, ...]
    others: tuple[str, ...]
    unreadable: tuple[str, ...]
    image: Mapping[str, Any]


def facts(answer: Answer, where: str) -> Facts:
    """The facts in the `answer` of the machine `where`. Raises BuildError if it makes no sense."""
    try:
        image = json.loads("\n".join(answer.all("image")))
        return Facts(
            boot=answer.first("boot"),
            keys=int(answer.first("keys")),
            esps=tuple(_esps(answer)),
            others=tuple(answer.all("other")),
            unreadable=tuple(answer.all("unreadable")),
            image={**image},
        )
    except (ValueError, TypeError, KeyError) as error:
        raise BuildError(
            f"its answer is not understood: {error}",
            where=where,
            hint="is it a machine of this project? Look at /etc/bq2/image.json there",
        ) from None


def _esps(answer: Answer) -> list[Esp]:
    """The ESPs of an answer: after each line "esp" come its lines "file"."""
    starts = [at for at, (kind, _) in enumerate(answer.lines) if kind == "esp"]
    parts = [answer.lines[at:end] for at, end in pairwise([*starts, None])]
    return [_esp(lines[0][1], hashes(Answer(lines))) for lines in parts]


def _esp(words: str, files: Mapping[str, str]) -> Esp:
    device, kept, tried, started, token = words.split()
    # The starter takes the first place if the letter is none.
    kept = kept if kept in OTHER else "A"
    starter = next((each for path, each in files.items() if path.startswith("EFI/")), "")
    return Esp(device, kept, tried, started, token, places_of(files), starter)


def hashes(answer: Answer) -> dict[str, str]:
    """Path → sha256 of the lines "file" of an answer about one ESP."""
    pairs = (words.split(maxsplit=1) for words in answer.all("file"))
    return {path: digest for digest, path in pairs}


def places_of(files: Mapping[str, str]) -> dict[str, Parts]:
    """The complete places among `files`: path → sha256."""
    found = {}
    for place in OTHER:
        parts = [files.get(f"BQ2/{place}/{name}") for name in (LOADER, KERNEL)]
        if parts[0] and parts[1]:
            found[place] = Parts(parts[0], parts[1])
    return found


def fitting(found: Facts, arch: str, where: str) -> Esp:
    """The ESP of the machine `where` that takes an image for `arch`. Raises BuildError."""
    if found.image.get("name") != "bootstrap-qcow2":
        hint = "to= names a machine that runs an image of this project"
        raise BuildError("it is no machine of bootstrap-qcow2", where=where, hint=hint)
    if (own := found.image.get("arch")) != arch:
        raise BuildError(
            f"it is a machine of {own}, and this image is for {arch}",
            where=where,
            hint=f"arch={own} builds one for it",
        )
    if "root" in found.image:
        raise BuildError(
            f"its system is on a root partition (set {found.image.get('set')}), which is not "
            "replaced while it runs",
            where=where,
            hint="push updates machines whose whole system is in the kernel: set=base, app=DIR",
        )
    if len(found.esps) > 1:
        devices = ", ".join(each.device for each in found.esps)
        raise BuildError(
            f"several of its disks could be the one that it starts from: {devices}",
            where=where,
            hint="detach the others",
        )
    if not found.esps:
        raise _no_place(found, where)
    if not found.keys:
        raise BuildError(
            "your key is only in its memory: after the restart nobody could get in",
            where=where,
            hint="put it where each start finds it: authorized_keys on the EFI system partition, "
            "or\n  a disk CIDATA (docs/machine.md)",
        )
    return found.esps[0]


def _no_place(found: Facts, where: str) -> BuildError:
    if found.others:
        return BuildError(
            "its firmware starts the kernel itself, so nothing can go back to the old one "
            f"({found.others[0]})",
            where=where,
            hint="write an image to its disk once that has loader=crystal (app=DIR has it)",
        )
    if found.unreadable:
        return BuildError(
            f"its EFI system partition cannot be mounted: {found.unreadable[0]}",
            where=where,
            hint="unmount it there, if it is mounted; `dmesg` there says more",
        )
    return BuildError(
        "it has no EFI system partition that it could be updated in",
        where=where,
        hint="it must start from the disk of an image of this project, with loader=crystal",
    )
