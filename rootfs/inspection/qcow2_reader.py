"""Reads QCOW2 files, versions 2 and 3 (QEMU, docs/interop/qcow2), and checks their tables.

    header ─▶ L1 table ─▶ L2 tables ─▶ clusters: plain, deflated, or zeros ─▶ bytes of the disk
    refcount table ─▶ blocks ─▶ compared with the real use

Every offset is checked before use. Only a few clusters are in memory. Backing files, snapshots,
encryption and incompatible features are errors: no image of this project has them.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from collections import OrderedDict
from collections.abc import Iterator

from rootfs.image.disk import SECTOR, round_up
from rootfs.image.qcow2 import COMPRESSED, COPIED, HEADER, WINDOW_BITS
from rootfs.inspection.window import View, check_inside, damaged

MAGIC = b"QFI\xfb"
OFFSET = 0x00FFFFFFFFFFFE00  # "L1/L2 table entry": bits 9 to 55
ALL_ZEROS = 1  # "Standard Cluster Descriptor", bit 0
KEPT = 512  # clusters in memory: the files of a directory are near each other
VERSION_2 = 72  # bytes of the header before version 3
CLUSTER_BITS = range(9, 22)  # the minimum is the format's, the maximum is QEMU's
LARGEST_L1 = 32 << 20  # bytes; the limit of QEMU


class Qcow2:
    """The disk in a file. Every method raises BuildError for damaged or unsupported data."""

    def __init__(self, file: View) -> None:
        self._file, self.name = file, file.name
        self._header = self._read_header()
        self.size: int = self._header["size"]
        self.cluster = 1 << self._header["cluster_bits"]
        self._entries = self.cluster // 8
        self._l1 = self._read_l1()
        self._l2: OrderedDict[int, tuple[int, ...]] = OrderedDict()
        self._clusters: OrderedDict[int, bytes] = OrderedDict()
        self._zeros = bytes(self.cluster)

    def read(self, offset: int, length: int) -> bytes:
        """As `View.read`."""
        check_inside(self, offset, length)
        parts = []
        while length:
            number, skip = divmod(offset, self.cluster)
            part = self._guest_cluster(number)[skip : skip + length]
            parts.append(part)
            offset, length = offset + len(part), length - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def check(self) -> int:
        """Check the reference count of every cluster of the file.

        Returns the number of clusters with data of the disk. Raises BuildError.
        """
        used = array("I", bytes(4 * -(-self._file.size // self.cluster)))
        in_use, once = 0, list[int]()
        self._count(used, 0, 1)
        self._count(used, self._header["l1_table_offset"], 8 * len(self._l1))
        for entry in self._l1:
            if entry & ~(OFFSET | COPIED):
                raise damaged(self.name, f"the L1 table has the impossible entry {entry:#x}")
            if entry & OFFSET:
                self._count(used, entry & OFFSET, self.cluster)
                if used[(entry & OFFSET) // self.cluster] > 1:
                    raise damaged(self.name, f"the table at {entry & OFFSET} is used twice")
                once.append(entry)
        for entry in self._descriptors():
            offset, length = self._place(entry)
            if length:
                self._count(used, offset, length)
                in_use += 1
            if length and not entry & COMPRESSED:
                once.append(entry)
        self._compare(used)
        for entry in once:
            if bool(entry & COPIED) != (used[(entry & OFFSET) // self.cluster] == 1):
                raise damaged(self.name, f"the table entry {entry:#x} has a wrong COPIED bit")
        return in_use

    def _read_header(self) -> dict[str, int]:
        data = self._file.read(0, min(self._file.size, HEADER.size)).ljust(HEADER.size, b"\0")
        header = HEADER.unpack(data)
        if header["magic"] != MAGIC or header["version"] not in (2, 3):
            raise damaged(self.name, "is not a QCOW2 file of version 2 or 3")
        if header["version"] == 2:
            late = HEADER.unpack(data[:VERSION_2].ljust(HEADER.size, b"\0"))
            header = late | {"refcount_order": 4, "header_length": VERSION_2}
        for field in ("backing_file_offset", "crypt_method", "nb_snapshots"):
            if header[field]:
                raise damaged(self.name, f"has a {field}, which is not supported")
        if header["incompatible_features"] or header["refcount_order"] != 4:
            raise damaged(self.name, "has unsupported features")
        if header["cluster_bits"] not in CLUSTER_BITS or header["size"] % SECTOR:
            raise damaged(self.name, "the size of its disk or its clusters is impossible")
        return header

    def _read_l1(self) -> array[int]:
        size, covered = self._header["l1_size"], self.cluster * self._entries
        if size < -(-self.size // covered) or 8 * size > LARGEST_L1:
            raise damaged(self.name, "the size of its L1 table does not match its disk")
        return self._table(self._header["l1_table_offset"], 8 * size)

    def _table(self, offset: int, length: int) -> array[int]:
        if offset % self.cluster:
            raise damaged(self.name, f"a table has the impossible offset {offset}")
        return array("Q", struct.unpack(f">{length // 8}Q", self._file.read(offset, length)))

    def _descriptors(self) -> Iterator[int]:
        for number, entry in enumerate(self._l1):
            if entry & OFFSET:
                yield from self._l2_table(number)

    def _l2_table(self, number: int) -> tuple[int, ...]:
        if number in self._l2:
            return self._l2[number]
        offset = self._l1[number] & OFFSET
        table = tuple(self._table(offset, self.cluster)) if offset else (0,) * self._entries
        self._l2[number] = table
        if len(self._l2) > KEPT:
            self._l2.popitem(last=False)
        return table

    def _place(self, entry: int) -> tuple[int, int]:
        """(offset in the file, length) of a cluster, from its L2 entry; length 0 means zeros."""
        if entry & COMPRESSED:
            shift = 62 - (self._header["cluster_bits"] - 8)
            offset = entry & (1 << shift) - 1
            sectors = (entry & COMPRESSED - 1) >> shift
            end = (offset // SECTOR + sectors + 1) * SECTOR
            return offset, min(end, self._file.size) - offset
        offset = entry & OFFSET
        reserved = entry & ~(OFFSET | COPIED | (ALL_ZEROS if self._header["version"] > 2 else 0))
        if offset % self.cluster or reserved:
            raise damaged(self.name, f"the table entry {entry:#x} is impossible")
        return (offset, self.cluster) if offset and not entry & ALL_ZEROS else (offset, 0)

    def _guest_cluster(self, number: int) -> bytes:
        if number in self._clusters:
            self._clusters.move_to_end(number)
            return self._clusters[number]
        index, inside = divmod(number, self._entries)
        entry = self._l2_table(index)[inside]
        offset, length = self._place(entry)
        if not length:
            return self._zeros
        data = self._file.read(offset, length)
        if entry & COMPRESSED:
            data = self._inflated(data, number)
        self._clusters[number] = data
        if len(self._clusters) > KEPT:
            self._clusters.popitem(last=False)
        return data

    def _inflated(self, data: bytes, number: int) -> bytes:
        try:
            found = zlib.decompressobj(WINDOW_BITS).decompress(data, self.cluster)
        except zlib.error as error:
            raise damaged(self.name, f"cluster {number} cannot be inflated: {error}") from error
        if len(found) != self.cluster:
            raise damaged(self.name, f"cluster {number} inflates to only {len(found)} bytes")
        return found

    def _count(self, used: array[int], offset: int, length: int) -> None:
        """Count one more use of the host clusters with these bytes."""
        check_inside(self._file, offset, length)
        for cluster in range(
            offset // self.cluster, (offset + max(length, 1) - 1) // self.cluster + 1
        ):
            used[cluster] += 1

    def _compare(self, used: array[int]) -> None:
        """Compare the reference counts with `used`, after adding the clusters of the counts."""
        offset, clusters = (
            self._header[f"refcount_table_{field}"] for field in ("offset", "clusters")
        )
        if clusters * self.cluster > self._file.size:
            raise damaged(self.name, "its refcount table is larger than the file")
        self._count(used, offset, clusters * self.cluster)
        blocks = list(self._table(offset, clusters * self.cluster))
        for block in blocks:
            if block:
                self._count(used, block, self.cluster)
        counts = array("H")
        for block in blocks:
            if len(counts) >= round_up(len(used), self.cluster // 2):
                break
            data = self._file.read(block, self.cluster) if block else self._zeros
            counts.extend(struct.unpack(f">{self.cluster // 2}H", data))
        for cluster, times in enumerate(used):
            said = counts[cluster] if cluster < len(counts) else 0
            if said != times:
                what = f"cluster {cluster} of the file is used {times} times, not {said}"
                raise damaged(self.name, what)
        if any(counts[len(used) :]):
            raise damaged(self.name, "it counts references to clusters that do not exist")
