"""Writes disks as QCOW2 files, version 3, with compressed clusters (QEMU, docs/interop/qcow2).

The same disk gives the same bytes (with the same zlib) for any number of threads. Clusters of zeros
are not stored. A cluster that deflate cannot shrink is stored uncompressed. Only a few clusters are
in memory at a time.

    pieces ──deflate (threads)──> in order ──┬──> clusters of their own (incompressible)
                                             └──> packed one after another (compressed)
    header | data, in order ... | L2 tables | L1 table | refcount blocks and table
"""

from __future__ import annotations

import os
import struct
import zlib
from array import array
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO

from rootfs.image.disk import SECTOR, Disk, Record, round_up

CLUSTER_BITS = 16  # the default of qemu-img
CLUSTER = 1 << CLUSTER_BITS
L2_ENTRIES = CLUSTER // 8
REFCOUNT_ENTRIES = CLUSTER // 2  # refcounts have 16 bits
HEADER = Record(  # "Header", up to header_length; the end of the extensions is all zeros
    ">",
    magic="4s",
    version="I",
    backing_file_offset="Q",
    backing_file_size="I",
    cluster_bits="I",
    size="Q",
    crypt_method="I",
    l1_size="I",
    l1_table_offset="Q",
    refcount_table_offset="Q",
    refcount_table_clusters="I",
    nb_snapshots="I",
    snapshots_offset="Q",
    incompatible_features="Q",
    compatible_features="Q",
    autoclear_features="Q",
    refcount_order="I",
    header_length="I",
)
COPIED = 1 << 63  # "L1/L2 table entry": the refcount is exactly one
COMPRESSED = 1 << 62  # "L2 table entry"
SECTORS_SHIFT = 62 - (CLUSTER_BITS - 8)  # "Compressed Clusters Descriptor": x
# Raw deflate with a window of 4 KiB: QEMU cannot read a larger window.
WINDOW_BITS = -12
LEVEL = 6  # zlib's default


def write(disk: Disk, out: IO[bytes], *, level: int = LEVEL, threads: int | None = None) -> int:
    """Write the disk to the empty, seekable file `out`; return the number of bytes.

    disk: its size is a multiple of 512 bytes. level: of zlib, 1 to 9. threads: default is one for
    each available processor. Raises BuildError if a file of the disk cannot be read.
    """
    if disk.size % SECTOR:
        raise ValueError(f"a disk of {disk.size} bytes is not a whole number of sectors")
    threads = threads or len(os.sched_getaffinity(0))
    host = _HostFile(out)
    header = host.allocate()
    tables: dict[int, array[int]] = {}
    for offset, data in _compressed(disk, level, threads):
        index, entry = divmod(offset // CLUSTER, L2_ENTRIES)
        table = tables.setdefault(index, array("Q", bytes(CLUSTER)))
        table[entry] = host.store(data)
    l1_size = round_up(disk.size, CLUSTER * L2_ENTRIES) // (CLUSTER * L2_ENTRIES)
    l1_offset = _write_tables(host, tables, l1_size)
    refcounts_offset, refcounts_clusters = host.write_refcounts()
    host.write_at(
        header,
        HEADER.pack(
            magic=b"QFI\xfb",
            version=3,
            cluster_bits=CLUSTER_BITS,
            size=disk.size,
            l1_size=l1_size,
            l1_table_offset=l1_offset,
            refcount_table_offset=refcounts_offset,
            refcount_table_clusters=refcounts_clusters,
            refcount_order=4,
            header_length=HEADER.size,
        ),
    )
    return host.finish()


class _HostFile:
    """The QCOW2 file: its clusters and their reference counts."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._refcounts = array("H")
        self._free = 0  # first free byte after the last compressed data

    def allocate(self, count: int = 1, *, references: int = 1) -> int:
        """Allocate `count` contiguous clusters; return the offset of the first."""
        offset = len(self._refcounts) * CLUSTER
        self._refcounts.extend([references] * count)
        return offset

    def write_at(self, offset: int, data: bytes) -> None:
        """Write to allocated clusters."""
        self._out.seek(offset)
        self._out.write(data)

    def store(self, data: bytes) -> int:
        """Store a guest cluster and return its L2 entry; shorter data is compressed data."""
        if len(data) == CLUSTER:
            offset = self.allocate()
            self.write_at(offset, data)
            return offset | COPIED
        offset = self._allocate_bytes(len(data))
        self.write_at(offset, data)
        further_sectors = (offset + len(data) - 1) // SECTOR - offset // SECTOR
        return offset | further_sectors << SECTORS_SHIFT | COMPRESSED

    def _allocate_bytes(self, length: int) -> int:
        """Allocate less than a cluster, directly after the last compressed data if possible.

        A host cluster has one reference for each compressed cluster that is partly in it.
        """
        if -self._free % CLUSTER < length:
            following = self.allocate(references=0)
            if following != round_up(self._free, CLUSTER):  # other data is in between
                self._free = following
        offset = self._free
        self._free += length
        for cluster in range(offset // CLUSTER, (self._free - 1) // CLUSTER + 1):
            self._refcounts[cluster] += 1
        return offset

    def write_refcounts(self) -> tuple[int, int]:
        """Write all reference counts; return (offset, clusters) of their table.

        The clusters of the counts and of the table are counted too.
        """
        others, blocks, table_clusters = len(self._refcounts), 0, 0
        while (needed := others + blocks + table_clusters) > blocks * REFCOUNT_ENTRIES:
            blocks = -(-needed // REFCOUNT_ENTRIES)
            table_clusters = -(-blocks * 8 // CLUSTER)
        first = self.allocate(blocks)
        table = self.allocate(table_clusters)
        self.write_at(first, _big_endian(self._refcounts))
        self.write_at(
            table, _big_endian(array("Q", (first + number * CLUSTER for number in range(blocks))))
        )
        return table, table_clusters

    def finish(self) -> int:
        """Extend the file to whole clusters; return its size."""
        size = len(self._refcounts) * CLUSTER
        self._out.truncate(size)
        return size


def _write_tables(host: _HostFile, tables: dict[int, array[int]], l1_size: int) -> int:
    """Write the L2 tables, then the L1 table; return the offset of the L1 table."""
    l1 = array("Q", bytes(8 * l1_size))
    for index, table in tables.items():
        offset = host.allocate()
        host.write_at(offset, _big_endian(table))
        l1[index] = offset | COPIED
    offset = host.allocate(round_up(8 * l1_size, CLUSTER) // CLUSTER)
    host.write_at(offset, _big_endian(l1))
    return offset


def _big_endian(numbers: array[int]) -> bytes:
    return struct.pack(f">{len(numbers)}{numbers.typecode}", *numbers)


def _compressed(disk: Disk, level: int, threads: int) -> Iterator[tuple[int, bytes]]:
    """(offset on the disk, data to store) of each cluster that is not zero, in order.

    zlib releases Python's lock, so threads run in parallel. Only enough clusters wait for the
    writer to keep the threads busy.
    """
    waiting: deque[tuple[int, Future[bytes]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for offset, piece in disk.data(CLUSTER):
            data = piece.ljust(CLUSTER, b"\0")
            waiting.append((offset, pool.submit(_deflate, data, level)))
            if len(waiting) > 4 * threads:
                first, result = waiting.popleft()
                yield first, result.result()
        for offset, result in waiting:
            yield offset, result.result()


def _deflate(data: bytes, level: int) -> bytes:
    """The data as raw deflate, or unchanged if deflate does not shorten it."""
    compressor = zlib.compressobj(level, zlib.DEFLATED, WINDOW_BITS)
    packed = compressor.compress(data) + compressor.flush()
    return packed if len(packed) < len(data) else data
