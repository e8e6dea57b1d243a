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

from plan.compiling.toolchain import SOURCE_DATE_EPOCH
from plan.errors import BuildError
from plan.outputs import replacing
from plan.room import no_room
from rootfs.image import fat, gpt, qcow2, vdi, vhd, vmdk
from rootfs.image.disk import SECTOR, Disk, file_size
from rootfs.image.names import BOOT, CHECKED_BY, CHOICE, LOADED, LOADER, STARTER, STATE

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
    loader: the tree of the package that starts the EFI executable; without it the firmware does.
    form: the format of the file, one of WRITERS.
    Raises BuildError for an unreadable input, an invalid name, or a full disk.
    """
    files = esp_files(efi_executable, efi_name, loader)
    # An update needs a second place, for a kernel that may have grown by half.
    spare = 3 * file_size(efi_executable) // 2 if loader else 0
    esp = _esp(files, identity, spare)
    others = [gpt.Partition(Disk.of_file(raw.file), raw.kind, raw.name) for raw in partitions]
    disk = gpt.disk([esp, *others], identity=identity)
    with _written(out) as file:
        WRITERS[form](disk, file)


def esp_files(kernel: Path, efi_name: str, loader: Path | None) -> dict[str, Path]:
    """The files of the ESP: path → content. The first is what the firmware starts.

    loader: the tree of the package with the programs that start the kernel, or None.
    """
    first = f"{BOOT}/{efi_name}"
    if loader is None:
        return {first: kernel}
    programs = {first: loader / STARTER, CHECKED_BY: loader / LOADER}
    return {**programs, LOADED: kernel, CHOICE: loader / STATE}


def _esp(files: dict[str, Path], identity: str, spare: int) -> gpt.Partition:
    """The EFI system partition, the first of the disk: FAT32 (UEFI specification, 13.3).

    spare: bytes that stay free.
    """
    volume = fat.volume(
        files,
        label=ESP_NAME,
        volume_id=gpt.guid(identity, "ESP volume").time_low,
        timestamp=SOURCE_DATE_EPOCH,
        first_sector=gpt.FIRST_PARTITION // SECTOR,
        spare=spare,
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
