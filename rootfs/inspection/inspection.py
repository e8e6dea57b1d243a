"""Checks a finished image without booting it, without privilege and without a network.

    file ─format─▶ disk ─gpt─┬─▶ ESP ─fat─▶ kernel ─▶ initramfs ─▶ image.json
                            └─▶ root ─ext4─▶ all its files, against its provenance (root_proof)
    <file>.provenance.json ─▶ the hashes of the file, its kernel, its provenance, its artifacts

Each check gives one line. A failed check stops only the checks that need its result, so that every
difference is reported. No external tool is used. The readers trust nothing in the image and refuse
whatever they do not know.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from plan.errors import BuildError
from rootfs.image.gpt import EFI_SYSTEM, LINUX_FILESYSTEM
from rootfs.image.names import (
    ABOUT,
    BOOT,
    CHECKED_BY,
    CHOICE,
    KERNEL,
    LOADED,
    LOADER,
    PROVENANCE,
    STARTER,
    STATE,
)
from rootfs.inspection import gpt_reader
from rootfs.inspection.disk_file import reader_of
from rootfs.inspection.fat_reader import Fat
from rootfs.inspection.kernel_reader import initramfs
from rootfs.inspection.root_proof import Root, artifacts_of, dependencies_of, parsed, subject_of
from rootfs.inspection.window import FileView, View, damaged

LARGEST_KERNEL = 256 << 20
# The exceptions for JSON of an unexpected form: they become a failed check.
MALFORMED = (
    *(AttributeError, LookupError, TypeError, ValueError, RecursionError, OverflowError),
    struct.error,
)


@dataclass(frozen=True)
class Check:
    """The name of a check, its result in words, and whether it passed."""

    what: str
    found: str
    good: bool


class Inspection:
    """The checks of the image `file`. beside: the content of <file>.provenance.json, if any."""

    def __init__(self, file: IO[bytes], name: str, beside: bytes | None) -> None:
        self._file, self._name, self._beside = file, name, beside
        self._kernel, self._path = b"", "the kernel"
        self._loader = b""
        # Path → sha256 of what else starts the kernel.
        self._before: dict[str, str] = {}
        self._image: Any = None
        self._root: Root | None = None
        self._partitions: list[gpt_reader.Found] = []

    def checks(self) -> Iterator[Check]:
        """Run the checks one after the other."""
        disk: list[View] = []
        file = FileView(self._file, self._name)
        form, read = reader_of(file)

        def opened() -> str:
            view, found = read(file)
            disk.append(view)
            return found

        yield _checked(form, opened)
        if disk:
            yield _checked("partition table", lambda: self._table(disk[0]))
        for partition in self._partitions:
            if partition.kind == EFI_SYSTEM:
                yield _checked("ESP", lambda found=partition: self._esp(found))  # type: ignore[misc]
        if self._kernel:
            yield _checked("initramfs", self._initramfs)
        if self._loader and not any(each.kind == LINUX_FILESYSTEM for each in self._partitions):
            yield _checked("loader", self._starts_it)
        for partition in self._partitions:
            if partition.kind == LINUX_FILESYSTEM:
                yield from self._checks_of_root(partition)
        if self._beside is not None:
            yield _checked("provenance beside it", self._told)

    def _table(self, disk: View) -> str:
        self._partitions = gpt_reader.partitions(disk)
        kinds = [each.kind for each in self._partitions]
        if kinds not in ([EFI_SYSTEM], [EFI_SYSTEM, LINUX_FILESYSTEM]):
            raise damaged(self._name, "has partitions other than an ESP and a root")
        names = ", ".join(each.name for each in self._partitions)
        return f"{names}; both tables valid and equal"

    def _esp(self, partition: gpt_reader.Found) -> str:
        files = Fat(partition.content).files()
        first = next((path for path in files if path.startswith(f"{BOOT}/")), "")
        if not first or {*files} not in ({first}, {first, LOADED, CHECKED_BY, CHOICE}):
            raise BuildError(
                f"must have the kernel, alone or with a loader; has: {', '.join(files) or 'none'}"
            )
        self._path = LOADED if LOADED in files else first
        self._kernel = _whole_file(self._path, files[self._path])
        if self._path != first:
            self._loader = _whole_file(CHECKED_BY, files[CHECKED_BY])
            others = {path: _whole_file(path, files[path]) for path in (first, CHOICE)}
            self._before = {
                path: _sha256(content)
                for path, content in {**others, CHECKED_BY: self._loader}.items()
            }
        return f"{self._path}, {len(self._kernel)} bytes, {_sha256(self._kernel)[:12]}"

    def _starts_it(self) -> str:
        """Check that the loader has the hash of the kernel: it starts no other."""
        if _sha256(self._kernel).encode() not in self._loader:
            raise BuildError("does not have the hash of the kernel", where=CHECKED_BY)
        if self._root is not None:
            for path, digest in self._before.items():
                own = {CHECKED_BY: LOADER, CHOICE: STATE}.get(path, STARTER)
                if _sha256(self._root.content(own)) != digest:
                    raise BuildError(f"differs from /{own} of the package", where=path)
        return f"{CHECKED_BY}, starts only this kernel"

    def _initramfs(self) -> str:
        files = initramfs(self._kernel, self._path)
        if ABOUT not in files:
            raise damaged(self._path, f"its initramfs has no {ABOUT}")
        self._image = parsed(files[ABOUT], f"{ABOUT} of the initramfs")
        packages = artifacts_of(self._image, f"{ABOUT} of the initramfs")
        return f"{len(files)} files, of {len(packages)} packages"

    def _checks_of_root(self, partition: gpt_reader.Found) -> Iterator[Check]:
        def read() -> str:
            self._root = Root(partition.content)
            return f"{len(self._root.files)} files and directories"

        yield _checked("ext4", read)
        if self._root is None:
            return
        yield _checked("kernel", self._same_kernel)
        if self._loader:
            yield _checked("loader", self._starts_it)
        for what, look in self._root.checks():
            yield _checked(what, look)

    def _same_kernel(self) -> str:
        """Check that the kernel in the ESP is that of the package and belongs to this root."""
        assert self._root is not None
        if self._root.content(KERNEL) != self._kernel:
            raise BuildError("differs from the kernel of the package", where=self._path)
        packed = artifacts_of(self._image, f"{ABOUT} of the initramfs")
        own = self._root.image_artifacts()
        if differing := [name for name in packed if own.get(name) != packed[name]]:
            raise BuildError(f"its initramfs has other packages: {', '.join(differing)}")
        return f"identical to /{KERNEL}; its initramfs has the same packages"

    def _told(self) -> str:
        assert self._beside is not None
        statement = parsed(self._beside, "the provenance")
        told = {row["name"]: row["digest"]["sha256"] for row in subject_of(statement, "provenance")}
        # The first subject is the image itself, whose file may have another name now.
        found = {next(iter(told), ""): self._whole(), self._path: _sha256(self._kernel)}
        found |= self._before
        if self._root is not None:
            found[f"/{PROVENANCE}"] = _sha256(self._root.content(PROVENANCE))
        if differing := [name for name in told if told[name] != found.get(name)]:
            raise BuildError(f"its hashes are not those of {', '.join(differing)}")
        made = {row["digest"]["sha256"] for row in dependencies_of(statement, "provenance")}
        packages = self._root.image_artifacts() if self._root else self._packed()
        if unknown := [name for name, artifact in packages.items() if artifact not in made]:
            raise BuildError(f"does not list packages of the image: {', '.join(unknown)}")
        return f"identical: {', '.join(told)}, and {len(packages)} artifacts"

    def _packed(self) -> dict[str, str]:
        return artifacts_of(self._image, f"{ABOUT} of the initramfs") if self._image else {}

    def _whole(self) -> str:
        found = hashlib.sha256()
        self._file.seek(0)
        while piece := self._file.read(1 << 20):
            found.update(piece)
        return found.hexdigest()


def _whole_file(path: str, pieces: Iterable[bytes]) -> bytes:
    content = bytearray()
    for piece in pieces:
        content += piece
        if len(content) > LARGEST_KERNEL:
            raise BuildError(f"{path} is larger than any kernel")
    return bytes(content)


def _checked(what: str, look: Callable[[], str]) -> Check:
    try:
        return Check(what, look(), good=True)
    except BuildError as error:
        return Check(what, _in_one_line(error), good=False)
    except MALFORMED as error:
        return Check(what, f"has an unexpected form: {error!r}", good=False)


def _in_one_line(error: BuildError) -> str:
    return f"{error.where}: {error.message}" if error.where else error.message


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
