"""Finds QEMU and the UEFI firmware that it boots an image with.

Guarantees: what is returned exists; the firmware starts unsigned images (nothing that enforces
Secure Boot); its two files are templates that nobody writes to (QEMU opens the variables through
a throw-away overlay, see qemu.py).

    BQ2_FIRMWARE=code[:variables]
      | not set
    QEMU's firmware descriptors    (docs/interop/firmware.json of QEMU: the distribution says it)
      | none fits
    the places that plan/architectures.yaml knows, and QEMU's own copies
      | none
    BuildError with the names of the packages
"""

from __future__ import annotations

import fnmatch
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plan.architecture import Qemu, load_architecture
from plan.errors import BuildError


@dataclass(frozen=True)
class Flash:
    """One file for QEMU's flash memory; format: "raw" or "qcow2"."""

    path: Path
    format: str


@dataclass(frozen=True)
class Firmware:
    """UEFI firmware: the code, and the template of the variables (None: both are in one file)."""

    code: Flash
    variables: Flash | None
    kernel: bool = False
    """Whether it does not lie in flash memory, but is started as a kernel is: U-Boot."""


# Features of a descriptor that do not go with an unsigned image or with our plain machine.
_UNFIT = {"enrolled-keys", "requires-smm"}


def find_qemu(arch: str) -> Path:
    """The program that emulates a machine of the architecture `arch`, from PATH.

    Raises BuildError when there is none, naming the packages to install.
    """
    qemu = load_architecture(arch).qemu
    found = shutil.which(qemu.program)
    if found is None:
        raise BuildError(f"{qemu.program} is not installed", hint=_install(qemu))
    return Path(found)


def find_firmware(arch: str, qemu: Path, *, root: Path = Path("/")) -> Firmware:
    """The UEFI firmware for `arch`.

    qemu: the program from find_qemu (its own share/qemu folder is searched too).
    root: where the system's files are looked for (tests give a tree of their own).
    Raises BuildError when there is none, or when BQ2_FIRMWARE names a file that is not there.
    """
    known = load_architecture(arch).qemu
    override = os.environ.get("BQ2_FIRMWARE")
    if override:
        return _overridden(override)
    # Both the path as found and the real one: Homebrew and Nix link their programs.
    shares = [path.parent.parent / "share/qemu" for path in (qemu, qemu.resolve())]
    home = os.environ.get("HOME", "")  # not Path.home(): a user may have none
    folders = [
        Path(os.environ.get("XDG_CONFIG_HOME") or f"{home}/.config") / "qemu/firmware",
        root / "etc/qemu/firmware",
        root / "usr/share/qemu/firmware",
        *(share / "firmware" for share in shares),
    ]
    for firmware in _described(folders, arch, known.model, root):
        return firmware
    places = [[root / file for file in files] for files in known.firmware]
    places += [[share / file for file in known.bundled] for share in shares if known.bundled]
    for code, *variables in places:
        if all(file.is_file() for file in (code, *variables)):
            alone = not variables
            return Firmware(_flash(code), None if alone else _flash(variables[0]), kernel=alone)
    raise BuildError(
        f"no UEFI firmware for {arch} was found",
        hint=f"{_install(known)}\n  or set BQ2_FIRMWARE=<code file>:<variables file>",
    )


def _install(qemu: Qemu) -> str:
    lines = [f"{name}: {packages}" for name, packages in qemu.packages.items()]
    return "\n    ".join(["install QEMU and its UEFI firmware:", *lines])


def _overridden(value: str) -> Firmware:
    code, _, variables = value.partition(":")
    for part in filter(None, (code, variables)):
        if not Path(part).is_file():
            raise BuildError(
                f"no such file: {part}",
                where="BQ2_FIRMWARE",
                hint="give the code file and the file of variables: BQ2_FIRMWARE=code:variables",
            )
    return Firmware(_flash(Path(code)), _flash(Path(variables)) if variables else None)


def _flash(path: Path) -> Flash:
    return Flash(path, file_format(path))


def file_format(path: Path) -> str:
    """ "qcow2" when `path` begins with qcow2's magic number, else "raw".

    QEMU is always told the format: its own guess lets a guest turn a raw file into another.
    """
    with path.open("rb") as file:
        return "qcow2" if file.read(4) == b"QFI\xfb" else "raw"


def _described(folders: list[Path], arch: str, machine: str, root: Path) -> Iterator[Firmware]:
    """What the descriptors in `folders` (highest priority first) offer, the best first.

    As the specification says: a file in an earlier folder hides its namesakes in later ones, an
    empty one hides them all, and the names' order is the order of preference.
    """
    files: dict[str, Path] = {}
    for folder in folders:
        for path in folder.glob("*.json"):
            files.setdefault(path.name, path)
    for name in sorted(files):
        try:
            descriptor = json.loads(files[name].read_text(encoding="utf-8"))
            firmware = _from_descriptor(descriptor, arch, machine, root)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # empty, or not a descriptor of this kind: the next one may be
        if firmware:
            yield firmware


def _from_descriptor(data: Any, arch: str, machine: str, root: Path) -> Firmware | None:
    mapping = data["mapping"]
    fits = (
        "uefi" in data["interface-types"]
        and mapping["device"] == "flash"
        and mapping.get("mode", "split") == "split"
        and _UNFIT.isdisjoint(data["features"])
        and any(
            target["architecture"] == arch
            and any(fnmatch.fnmatch(machine, pattern) for pattern in target["machines"])
            for target in data["targets"]
        )
    )
    if not fits:
        return None
    parts = [mapping["executable"], mapping["nvram-template"]]
    code, variables = (
        Flash(root / part["filename"].lstrip("/"), part.get("format", "raw")) for part in parts
    )
    return Firmware(code, variables) if code.path.is_file() and variables.path.is_file() else None
