"""Writes the image: a disk that boots with an EFI executable, in one of several formats.

The bytes depend only on the contents and the identity. The file gets its name only when it is
complete and synced.

    EFI executable ──fat──> ESP ──┐
    further partitions, raw ──────┴──gpt──> disk ──qcow2, …──> temporary file ──rename──> image
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from uuid import UUID

from plan.errors import BuildError
from plan.outputs import replacing
from plan.room import no_room
from plan.toolchain import SOURCE_DATE_EPOCH
from rootfs.image import fat, gpt, qcow2, vdi, vhd, vmdk
from rootfs.image.disk import SECTOR, Disk
from rootfs.image.names import BOOT, LOADED

ESP_NAME = "ESP"
# Each writes a disk to an empty file.
WRITERS: Mapping[str, Callable[[Disk, IO[bytes]], object]] = {
    "qcow2": qcow2.write,
    "raw": Disk.write,
    "vmdk": vmdk.write,
    "vdi": vdi.write,
    "vhd": vhd.write,
}


@dataclass(frozen=True)
class RawPartition:
    """A finished partition: its raw (sparse) file, its type GUID, its name."""

    file: Path
    kind: UUID
    name: str


def write_image(
    out: Path,
    *,
    efi_executable: Path,
    efi_name: str,
    identity: str,
    partitions: Sequence[RawPartition] = (),
    loader: Path | None = None,
    form: str = "qcow2",
) -> None:
    r"""Write the image `out`: a GPT disk with the ESP, then the partitions.

    efi_name: the name that the firmware looks for in \EFI\BOOT: "BOOTX64.EFI", "BOOTAA64.EFI".
    identity: all GUIDs derive from it; `gpt.partition_guid` gives them in advance.
    loader: the program that starts the EFI executable; without it the firmware does.
    form: the format of the file, one of WRITERS.
    Raises BuildError for an unreadable input, an invalid name, or a full disk.
    """
    esp = _esp(esp_files(efi_executable, efi_name, loader), identity)
    others = [gpt.Partition(Disk.of_file(raw.file), raw.kind, raw.name) for raw in partitions]
    disk = gpt.disk([esp, *others], identity=identity)
    with _written(out) as file:
        WRITERS[form](disk, file)


def esp_files(kernel: Path, efi_name: str, loader: Path | None) -> dict[str, Path]:
    """The files of the ESP: path → content. The first is what the firmware starts."""
    if loader is None:
        return {f"{BOOT}/{efi_name}": kernel}
    return {f"{BOOT}/{efi_name}": loader, LOADED: kernel}


def _esp(files: dict[str, Path], identity: str) -> gpt.Partition:
    """The EFI system partition, the first of the disk: FAT32 (UEFI specification, 13.3)."""
    volume = fat.volume(
        files,
        label=ESP_NAME,
        volume_id=gpt.guid(identity, "ESP volume").time_low,
        timestamp=SOURCE_DATE_EPOCH,
        first_sector=gpt.FIRST_PARTITION // SECTOR,
    )
    return gpt.Partition(volume, gpt.EFI_SYSTEM, ESP_NAME)


@contextmanager
def _written(out: Path) -> Iterator[IO[bytes]]:
    """`files.replacing` with a BuildError in place of an OSError."""
    try:
        with replacing(out) as file:
            yield file
    except OSError as error:
        raise BuildError(
            f"cannot be written: {error.strerror}",
            where=os.fspath(out),
            hint=no_room(error, out),
        ) from error
