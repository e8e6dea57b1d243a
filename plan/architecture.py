"""What differs between architectures, and nothing else does: `plan/architectures.yaml`, checked.

A plan has two of them: the *build* architecture, which its steps run on, and the *target*, which
its product is for. Where they are not the same, the product is *crossed*.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from plan.errors import BuildError, nearest
from plan.yamlfile import Table, load

DATA = Path(__file__).resolve().parent / "architectures.yaml"
SHOWN_AS = "plan/architectures.yaml"
ACCELERATORS = ("tcg", "kvm")


@dataclass(frozen=True)
class Qemu:
    """How a machine of the architecture is emulated; the fields are the file's keys."""

    program: str
    machine: str
    model: str
    processor: Mapping[str, str]
    packages: Mapping[str, str]
    firmware: tuple[tuple[str, ...], ...]
    bundled: tuple[str, ...]


@dataclass(frozen=True)
class Architecture:
    """One architecture; the fields are the file's keys."""

    name: str
    triple: str
    kernel: str
    loader: str
    efi: str
    without: Mapping[str, str]
    qemu: Qemu


@dataclass(frozen=True)
class Machines:
    """What steps run on, and what they compile for."""

    build: Architecture
    target: Architecture

    @property
    def crossed(self) -> bool:
        """Whether what is compiled cannot be run by the build."""
        return self.build != self.target


def architectures(data: Path = DATA) -> tuple[str, ...]:
    """The names in the file `data`. They are wanted where nobody waits for YAML to be loaded."""
    return tuple(re.findall(r"^(\w+):", data.read_text(encoding="utf-8"), re.MULTILINE))


def load_architecture(name: str, data: Path = DATA) -> Architecture:
    """The architecture `name` from the file `data`.

    Raises BuildError if there is none, or with file and line for what is wrong in its entry.
    """
    file = load(data, shown_as=SHOWN_AS)
    if name not in file:
        raise BuildError(
            f"there is no architecture {name!r}", where=SHOWN_AS, hint=nearest(name, file)
        )
    table: Table = file[name]
    texts = ("triple", "kernel", "loader", "efi")
    table.expect({**dict.fromkeys(texts, str), "without": dict, "qemu": dict}, (*texts, "qemu"))
    return Architecture(
        name=name,
        without=table.mapping("without"),
        qemu=_qemu(table["qemu"]),
        **{key: table[key] for key in texts},
    )


def load_machines(data: Path, build: str, target: str) -> Machines:
    """The architectures of these names, from the folder `plan/` at `data`. Raises BuildError."""
    file = data / DATA.name
    own = load_architecture(build, file)
    return Machines(own, own if target == build else load_architecture(target, file))


def _qemu(table: Table) -> Qemu:
    texts = ("program", "machine", "model")
    kinds = {"processor": dict, "packages": dict, "firmware": list, "bundled": list}
    table.expect({**dict.fromkeys(texts, str), **kinds}, (*texts, "processor", "packages"))
    processor = table.mapping("processor")
    for accelerator in ACCELERATORS:
        if accelerator not in processor:
            raise BuildError(f"no processor for {accelerator}", where=table.where("processor"))
    return Qemu(
        processor=processor,
        packages=table.mapping("packages"),
        firmware=tuple(_files(table, files) for files in table.get("firmware", [])),
        bundled=table.texts("bundled"),
        **{key: table[key] for key in texts},
    )


def _files(table: Table, files: object) -> tuple[str, ...]:
    if not isinstance(files, list) or not all(isinstance(file, str) for file in files):
        raise BuildError("firmware is a list of lists of files", where=table.where("firmware"))
    return tuple(files)
