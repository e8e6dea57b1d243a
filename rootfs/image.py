"""The image: a disk that boots by an EFI executable, as a compressed QCOW2 file.

Guarantees: the bytes follow from the contents and the identity. The file appears under its
name when it is complete and on the disk, or not at all.

    EFI executable ──fat──> ESP ──┐
    further partitions, raw ──────┴──gpt──> disk ──qcow2──> temporary file ──rename──> image
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from uuid import UUID

from plan.errors import BuildError
from plan.room import no_room
from plan.toolchain import SOURCE_DATE_EPOCH
from rootfs import fat, gpt, qcow2
from rootfs.disk import SECTOR, Disk
from rootfs.files import replacing

ESP_NAME = "ESP"


@dataclass(frozen=True)
class RawPartition:
    """A partition made elsewhere: its raw (sparse) file, its type GUID, its name."""

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
) -> None:
    r"""Write the image `out`: a GPT disk with the ESP, then the partitions.

    efi_name: as the firmware looks for it in \EFI\BOOT: "BOOTX64.EFI", "BOOTAA64.EFI".
    identity: what all GUIDs derive from; `gpt.partition_guid` tells them beforehand.
    Raises BuildError: an input that cannot be read, a name that is not possible, a full disk.
    """
    esp = _esp({f"EFI/BOOT/{efi_name}": efi_executable}, identity)
    others = [gpt.Partition(Disk.of_file(raw.file), raw.kind, raw.name) for raw in partitions]
    disk = gpt.disk([esp, *others], identity=identity)
    with _written(out) as file:
        qcow2.write(disk, file)


def _esp(files: dict[str, Path], identity: str) -> gpt.Partition:
    """The EFI system partition: the first of the disk, FAT32 (UEFI specification, 13.3)."""
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
    """`files.replacing`, with what the system refuses told as a BuildError."""
    try:
        with replacing(out) as file:
            yield file
    except OSError as error:
        raise BuildError(
            f"cannot be written: {error.strerror}",
            where=os.fspath(out),
            hint=no_room(error, out),
        ) from error
