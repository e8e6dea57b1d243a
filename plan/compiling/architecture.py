"""All differences between architectures: `plan/architectures.yaml`, checked.

A plan has two architectures: its steps run on the *build* architecture, and its product runs on
the *target*. If they differ, the product is *crossed*.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from plan.errors import BuildError, nearest
from plan.yamlfile import Table, load, top_keys

DATA = Path(__file__).resolve().parents[1] / "architectures.yaml"
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
    variables: str


@dataclass(frozen=True)
class Architecture:
    """One architecture; the fields are the file's keys."""

    name: str
    triple: str
    kernel: str
    loader: str
    efi: str
    oci: str
    without: Mapping[str, str]
    qemu: Qemu


@dataclass(frozen=True)
class Machines:
    """The architecture that steps run on (build), and the one that they compile for (target)."""

    build: Architecture
    target: Architecture

    @property
    def crossed(self) -> bool:
        """Whether the build machine cannot run the compiled programs."""
        return self.build != self.target


def architectures(data: Path = DATA) -> tuple[str, ...]:
    """The names in the file `data`."""
    return top_keys(data)


def load_architecture(name: str, data: Path = DATA, shown_as: str = SHOWN_AS) -> Architecture:
    """The architecture `name` from the file `data`, which messages call `shown_as`.

    Raises BuildError if it is unknown, or with file and line if its entry is wrong.
    """
    file = load(data, shown_as=shown_as)
    if name not in file:
        raise BuildError(
            f"there is no architecture {name!r}", where=shown_as, hint=nearest(name, file)
        )
    file.expect(dict.fromkeys(file, dict))
    table: Table = file[name]
    texts = ("triple", "kernel", "loader", "efi", "oci")
    table.expect({**dict.fromkeys(texts, str), "without": dict, "qemu": dict}, (*texts, "qemu"))
    return Architecture(
        name=name,
        without=table.mapping("without"),
        qemu=_qemu(table["qemu"]),
        **{key: table[key] for key in texts},
    )


def _qemu(table: Table) -> Qemu:
    texts = ("program", "machine", "model")
    kinds = {"processor": dict, "packages": dict, "firmware": list, "bundled": list}
    kinds |= {"variables": str}
    table.expect({**dict.fromkeys(texts, str), **kinds}, (*texts, "processor", "packages"))
    processor = table.mapping("processor")
    for accelerator in ACCELERATORS:
        if accelerator not in processor:
            raise BuildError(f"no processor for {accelerator}", where=table.where("processor"))
    variables = table.get("variables", "flash")
    if variables not in ("flash", "memory"):
        raise BuildError(
            f"variables is flash or memory, not {variables!r}", where=table.where("variables")
        )
    return Qemu(
        processor=processor,
        packages=table.mapping("packages"),
        firmware=tuple(_files(table, files) for files in table.get("firmware", [])),
        bundled=table.texts("bundled"),
        variables=variables,
        **{key: table[key] for key in texts},
    )


def _files(table: Table, files: object) -> tuple[str, ...]:
    if not isinstance(files, list) or not all(isinstance(file, str) for file in files):
        raise BuildError("firmware must be a list of lists of files", where=table.where("firmware"))
    return tuple(files)
