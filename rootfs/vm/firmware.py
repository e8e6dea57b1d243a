"""Finds QEMU and UEFI firmware to boot an image.

The returned files exist. The firmware starts unsigned images: it does not enforce Secure Boot. Its
files are never written (QEMU opens the variables through a temporary overlay, see qemu.py).

    BQ2_FIRMWARE=code[:variables]
      | not set
    QEMU's firmware descriptors of the distribution (docs/interop/firmware.json of QEMU)
      | none fits
    the paths in plan/architectures.yaml, and QEMU's own copies
      | none
    BuildError with the names of the packages
"""

from __future__ import annotations

import fnmatch
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from plan.compiling.architecture import Qemu, load_architecture
from plan.errors import BuildError


@dataclass(frozen=True)
class Flash:
    """One file for QEMU's flash memory; format: "raw" or "qcow2"."""

    path: Path
    format: str


@dataclass(frozen=True)
class Firmware:
    """UEFI firmware: the code, and the template of the variables.

    variables: None if both are in one file, or the variables are in memory.
    """

    code: Flash
    variables: Flash | None
    kernel: bool = False
    """Whether QEMU starts it with -kernel instead of from flash memory: U-Boot."""


_SECTOR = 512
# Formats of disks, as QEMU names them: where their magic number is, and the number. A fixed VHD has
# it in its last sector.
_MAGICS = (("qcow2", 0, b"QFI\xfb"), ("vmdk", 0, b"KDMV"), ("vdi", 64, b"\x7f\x10\xda\xbe"))

# Features of a descriptor that do not work with an unsigned image or with our machine.
_UNFIT = {"enrolled-keys", "requires-smm"}


def find_qemu(arch: str) -> Path:
    """The QEMU program for the architecture `arch`, from PATH.

    Raises BuildError with the packages to install if there is none.
    """
    qemu = load_architecture(arch).qemu
    found = shutil.which(qemu.program)
    if found is None:
        raise BuildError(f"{qemu.program} is not installed", hint=_install(qemu))
    return Path(found)


def find_firmware(arch: str, qemu: Path, *, root: Path = Path("/")) -> Firmware:
    """The UEFI firmware for `arch`.

    qemu: the program from find_qemu (its own share/qemu directory is searched too).
    root: the root directory to search (tests use a tree of their own).
    Raises BuildError if there is none, or if BQ2_FIRMWARE names a missing file.
    """
    known = load_architecture(arch).qemu
    override = os.environ.get("BQ2_FIRMWARE")
    if override:
        return _overridden(override)
    # Both the found path and the resolved one: Homebrew and Nix use links.
    shares = [path.parent.parent / "share/qemu" for path in (qemu, qemu.resolve())]
    home = os.environ.get("HOME", "")  # Path.home() fails for a user without a home
    directories = [
        Path(os.environ.get("XDG_CONFIG_HOME") or f"{home}/.config") / "qemu/firmware",
        root / "etc/qemu/firmware",
        root / "usr/share/qemu/firmware",
        *(share / "firmware" for share in shares),
    ]
    found = next(_described(directories, arch, known.model, root), None)
    found = found or _installed(known, shares, root)
    if found is None:
        raise BuildError(
            f"no UEFI firmware for {arch} was found",
            hint=f"{_install(known)}\n  or set BQ2_FIRMWARE=<code file>[:<variables file>]",
        )
    return replace(found, variables=None) if known.variables == "memory" else found


def _installed(known: Qemu, shares: Sequence[Path], root: Path) -> Firmware | None:
    """The first firmware whose files are all at their known places below `root`, or in `shares`."""
    places = [[root / file for file in files] for files in known.firmware]
    places += [[share / file for file in known.bundled] for share in shares if known.bundled]
    for code, *variables in places:
        if all(file.is_file() for file in (code, *variables)):
            alone = not variables
            return Firmware(_flash(code), None if alone else _flash(variables[0]), kernel=alone)
    return None


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
                hint="name the code file and the variables file: BQ2_FIRMWARE=code:variables",
            )
    return Firmware(_flash(Path(code)), _flash(Path(variables)) if variables else None)


def _flash(path: Path) -> Flash:
    return Flash(path, file_format(path))


def file_format(path: Path) -> str:
    """QEMU's name for the format of `path`, by its magic number; "raw" if it has none.

    QEMU must not guess the format: a guest could write another header into a raw file.
    """
    with path.open("rb") as file:
        head = file.read(_SECTOR)
        file.seek(-min(_SECTOR, path.stat().st_size), os.SEEK_END)
        last = file.read()
    found = (name for name, at, magic in _MAGICS if head[at:].startswith(magic))
    return next(found, "vpc" if last.startswith(b"conectix") else "raw")


def _described(directories: list[Path], arch: str, machine: str, root: Path) -> Iterator[Firmware]:
    """The firmware of the descriptors in `directories` (highest priority first), best first.

    By the specification: a file hides files of the same name in later directories, an empty file
    too, and the order of the names is the order of preference.
    """
    files: dict[str, Path] = {}
    for directory in directories:
        for path in directory.glob("*.json"):
            files.setdefault(path.name, path)
    for name in sorted(files):
        try:
            descriptor = json.loads(files[name].read_text(encoding="utf-8"))
            firmware = _from_descriptor(descriptor, arch, machine, root)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # empty, or not a descriptor of this kind: try the next one
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
