"""Reads an ext4 file system without mounting it and without e2fsprogs; verifies its checksums.

    superblock ─▶ group descriptors ─▶ inode tables ─▶ inode ─▶ extents ─▶ blocks
                                                         └─▶ directory: name, inode number

Follows the kernel's Documentation/filesystems/ext4/. It supports what mke2fs writes: extents,
64-bit block numbers, flexible groups, metadata checksums. Any other incompatible feature, and a
journal with data, is an error. Each number is checked before use, so no loop is followed.
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rootfs.inspection.crc32c import crc32c
from rootfs.inspection.ext4_format import (
    ATTRIBUTES,
    BITS_64,
    DEEPEST,
    DESCRIPTOR,
    ENTRY,
    EXTENT,
    EXTENT_HEADER,
    EXTENT_INDEX,
    EXTENT_MAGIC,
    EXTENTS_FLAG,
    FAST_SYMLINK,
    INDEX_FLAG,
    INODE,
    INODE_BASE,
    KNOWN,
    MAGIC,
    METADATA_CSUM,
    PIECE,
    RECOVER,
    ROOT,
    SEED,
    SUPERBLOCK,
    SUPERBLOCK_AT,
    TAIL_TYPE,
    UNWRITTEN,
)
from rootfs.inspection.window import View, check_inside, damaged


@dataclass(frozen=True)
class Inode:
    """A file, directory or link: its stat(2) data and the location of its content."""

    number: int
    mode: int
    owner: tuple[int, int]
    size: int
    links: int
    mtime: int
    flags: int
    block: bytes
    generation: int
    has_attributes: bool
    """Whether it has extended attributes: in the inode, or in a block."""


class Ext4:
    """An ext4 file system. Every method raises BuildError for damaged or unsupported data."""

    def __init__(self, view: View) -> None:
        self._view, self.name = view, view.name
        raw = view.read(SUPERBLOCK_AT, 1024)
        self._super = SUPERBLOCK.unpack(raw)
        self._check_super(raw)
        self.block = 1024 << self._super["s_log_block_size"]
        count = self._super["s_blocks_count_lo"] | self._wide("s_blocks_count_hi") << 32
        self._per_group = self._super["s_blocks_per_group"]
        self.groups = -(-(count - self._super["s_first_data_block"]) // self._per_group)
        check_inside(view, 0, count * self.block)

    @property
    def uuid(self) -> bytes:
        return bytes(self._super["s_uuid"])

    @property
    def summed(self) -> bool:
        """Whether its metadata has checksums."""
        return bool(self._super["s_feature_ro_compat"] & METADATA_CSUM)

    def check(self) -> None:
        """Verify the checksums of the group descriptors and bitmaps, if it has checksums.

        Raises BuildError.
        """
        if not self.summed:
            return
        for number, (raw, group) in enumerate(self._descriptors):
            zeroed = raw[:0x1E] + b"\0\0" + raw[0x20:]
            found = crc32c(zeroed, crc32c(struct.pack("<I", number), self._seed)) & 0xFFFF
            self._compare(found, group["bg_checksum"], f"group {number}")
            sizes = {"block": self._per_group // 8, "inode": self._super["s_inodes_per_group"] // 8}
            for kind, size in sizes.items():
                # INODE_UNINIT, BLOCK_UNINIT: the bitmap was never written.
                if group["bg_flags"] & {"inode": 1, "block": 2}[kind]:
                    continue
                place = group[f"bg_{kind}_bitmap_lo"] | group[f"bg_{kind}_bitmap_hi"] << 32
                stated = group[f"bg_{kind}_bitmap_csum_lo"]
                if len(raw) >= DESCRIPTOR.size:
                    stated |= group[f"bg_{kind}_bitmap_csum_hi"] << 16
                found = crc32c(self._view.read(place * self.block, size), self._seed)
                found &= 0xFFFFFFFF if len(raw) >= DESCRIPTOR.size else 0xFFFF
                self._compare(found, stated, f"the {kind} bitmap of group {number}")

    def inode(self, number: int) -> Inode:
        """The inode `number`. Raises BuildError if it does not exist or is damaged."""
        size = self._super["s_inode_size"]
        group, index = divmod(number - 1, self._super["s_inodes_per_group"])
        if not 0 < number <= self._super["s_inodes_count"] or group >= self.groups:
            raise damaged(self.name, f"a directory names the inode {number}, which does not exist")
        fields = self._descriptors[group][1]
        table = fields["bg_inode_table_lo"] | fields["bg_inode_table_hi"] << 32
        raw = self._view.read(table * self.block + index * size, size)
        found = INODE.unpack(raw.ljust(INODE.size, b"\0"))
        if self.summed:
            self._check_inode(raw, number, found)
        return Inode(
            number=number,
            mode=found["i_mode"],
            owner=(
                found["i_uid"] | found["l_i_uid_high"] << 16,
                found["i_gid"] | found["l_i_gid_high"] << 16,
            ),
            size=found["i_size_lo"] | found["i_size_high"] << 32,
            links=found["i_links_count"],
            mtime=found["i_mtime"],
            flags=found["i_flags"],
            block=found["i_block"],
            generation=found["i_generation"],
            has_attributes=bool(
                found["i_file_acl_lo"]
                or found["l_i_file_acl_high"]
                or raw[INODE_BASE + found["i_extra_isize"] :].startswith(ATTRIBUTES)
            ),
        )

    def walk(self) -> Iterator[tuple[bytes, Inode]]:
        """(path without a leading slash, inode) of everything below the root directory."""
        seen = {ROOT}
        pending = [(b"", self.inode(ROOT))]
        while pending:
            above, directory = pending.pop()
            entries = sorted(self._entries(directory))
            if len(dict(entries)) < len(entries):
                raise damaged(self.name, f"the directory {directory.number} has a name twice")
            for name, number in entries:
                inode = self.inode(number)
                yield above + name, inode
                if stat.S_ISDIR(inode.mode):
                    if number in seen:
                        raise damaged(self.name, f"the directory {number} has two parents")
                    seen.add(number)
                    pending.append((above + name + b"/", inode))

    def pieces(self, inode: Inode) -> Iterator[bytes]:
        """The content of a file, in pieces of up to 1 MiB."""
        at = 0
        for first, length, place in self._extents(inode):
            start, end = first * self.block, min((first + length) * self.block, inode.size)
            yield from _zeros(min(start, inode.size) - at)
            at = min(start, inode.size)
            while at < end:
                take = min(PIECE, end - at)
                offset = place * self.block + at - start
                yield self._view.read(offset, take) if place else bytes(take)
                at += take
        yield from _zeros(inode.size - at)

    def content(self, inode: Inode, most: int = 64 << 20) -> bytes:
        """The content of a file of at most `most` bytes. Raises BuildError."""
        if inode.size > most:
            raise damaged(self.name, f"the inode {inode.number} has {inode.size} bytes")
        return b"".join(self.pieces(inode))

    def target(self, inode: Inode) -> bytes:
        """The target of a symbolic link."""
        if inode.size < FAST_SYMLINK and not inode.flags & EXTENTS_FLAG:
            return inode.block[: inode.size]
        return self.content(inode, most=self.block)

    # --- internals -------------------------------------------------------------------------

    def _wide(self, field: str) -> int:
        """A field that exists only with 64-bit block numbers; else 0."""
        return int(self._super[field]) if self._super["s_feature_incompat"] & BITS_64 else 0

    @cached_property
    def _seed(self) -> int:
        if self._super["s_feature_incompat"] & SEED:
            return int(self._super["s_checksum_seed"])
        return crc32c(self.uuid)

    @cached_property
    def _descriptors(self) -> list[tuple[bytes, dict[str, Any]]]:
        size = self._wide("s_desc_size") or 32
        if size not in (32, DESCRIPTOR.size):
            raise damaged(self.name, f"has group descriptors of {size} bytes")
        # They follow the block with the superblock.
        start = (SUPERBLOCK_AT // self.block + 1) * self.block
        data = self._view.read(start, size * self.groups)
        rows = [data[at : at + size] for at in range(0, len(data), size)]
        return [(row, DESCRIPTOR.unpack(row.ljust(DESCRIPTOR.size, b"\0"))) for row in rows]

    def _compare(self, found: int, stated: int, what: str) -> None:
        if found != stated:
            raise damaged(self.name, f"the checksum of {what} is wrong")

    def _check_super(self, raw: bytes) -> None:
        fields = self._super
        if fields["s_magic"] != MAGIC:
            raise damaged(self.name, "is not an ext4 file system")
        if self.summed:
            self._compare(crc32c(raw[:-4]), int.from_bytes(raw[-4:], "little"), "the superblock")
        if fields["s_feature_incompat"] & RECOVER:
            raise damaged(self.name, "was mounted, and its journal has data")
        if unknown := fields["s_feature_incompat"] & ~KNOWN:
            raise damaged(self.name, f"has unsupported features: {unknown:#x}")
        sizes = fields["s_log_block_size"] <= 6 and 128 <= fields["s_inode_size"] <= 1024
        groups = fields["s_blocks_per_group"], fields["s_inodes_per_group"]
        # A bitmap is one block.
        if not sizes or not min(groups) or max(groups) > 8 * 1024 << fields["s_log_block_size"]:
            raise damaged(self.name, "its superblock has impossible sizes")

    def _inode_seed(self, number: int, generation: int) -> int:
        return crc32c(struct.pack("<II", number, generation), self._seed)

    def _check_inode(self, raw: bytes, number: int, fields: dict[str, Any]) -> None:
        stated, zeroed = fields["l_i_checksum_lo"], bytearray(raw)
        zeroed[0x7C:0x7E] = b"\0\0"
        mask = 0xFFFF
        if len(raw) > INODE_BASE and fields["i_extra_isize"] >= 4:
            zeroed[0x82:0x84] = b"\0\0"
            stated, mask = stated | fields["i_checksum_hi"] << 16, 0xFFFFFFFF
        found = crc32c(bytes(zeroed), self._inode_seed(number, fields["i_generation"]))
        self._compare(found & mask, stated, f"the inode {number}")

    def _extents(self, inode: Inode) -> Iterator[tuple[int, int, int]]:
        """(first block in the file, number of blocks, block on disk or 0 for zeros), in order.

        Each has blocks, and none overlaps the one before it. So a tree whose nodes are named again
        and again is not followed for long.
        """
        if not inode.size:
            return
        if inode.size > self._view.size:
            raise damaged(self.name, f"the inode {inode.number} has {inode.size} bytes")
        if not inode.flags & EXTENTS_FLAG:
            raise damaged(self.name, f"the inode {inode.number} has no extents")
        following = 0
        for first, length, place in self._extent_node(inode, inode.block, DEEPEST + 1):
            if first < following or not length:
                raise damaged(self.name, f"the extents of the inode {inode.number} overlap")
            following = first + length
            yield first, length, place

    def _extent_node(self, inode: Inode, node: bytes, above: int) -> Iterator[tuple[int, int, int]]:
        magic, entries, most, depth, _ = EXTENT_HEADER.unpack_from(node)
        room = len(node) // EXTENT.size - 1
        least = 0 if above > DEEPEST else 1  # only a file without blocks has an empty node
        if magic != EXTENT_MAGIC or not least <= entries <= min(most, room) or depth >= above:
            raise damaged(self.name, f"the extents of the inode {inode.number} are damaged")
        if len(node) == self.block and self.summed:
            tail = EXTENT_HEADER.size + most * EXTENT.size
            found = crc32c(node[:tail], self._inode_seed(inode.number, inode.generation))
            stated = int.from_bytes(node[tail : tail + 4], "little")
            self._compare(found, stated, f"the extents of the inode {inode.number}")
        for number in range(1, entries + 1):
            if depth:
                _, low, high, _ = EXTENT_INDEX.unpack_from(node, number * EXTENT.size)
                below = self._view.read((low | high << 32) * self.block, self.block)
                yield from self._extent_node(inode, below, depth)
                continue
            first, length, high, low = EXTENT.unpack_from(node, number * EXTENT.size)
            zeros = length > UNWRITTEN
            yield first, length - UNWRITTEN if zeros else length, 0 if zeros else low | high << 32

    def _entries(self, directory: Inode) -> Iterator[tuple[bytes, int]]:
        """(name, inode number) of each entry of a directory, without . and .."""
        if directory.size % self.block:
            raise damaged(self.name, f"the directory {directory.number} ends within a block")
        data = self.content(directory)
        for start in range(0, len(data), self.block):
            block = data[start : start + self.block]
            summed = at = 0
            while at < len(block):
                if at + ENTRY.size > len(block):
                    raise damaged(self.name, f"the directory {directory.number} is damaged")
                number, length, name_length, kind = ENTRY.unpack_from(block, at)
                name = block[at + ENTRY.size : at + ENTRY.size + name_length]
                bad = length < ENTRY.size + name_length or length % 4 or at + length > len(block)
                if bad or b"/" in name or b"\0" in name or (number and not name):
                    raise damaged(self.name, f"the directory {directory.number} is damaged")
                if not number and kind == TAIL_TYPE and length == ENTRY.size + 4:
                    seed = self._inode_seed(directory.number, directory.generation)
                    stated = int.from_bytes(block[at + ENTRY.size : at + length], "little")
                    self._compare(
                        crc32c(block[:at], seed), stated, f"the directory {directory.number}"
                    )
                    summed = 1
                elif number and name not in (b".", b".."):
                    yield name, number
                at += length
            if self.summed and not summed and not directory.flags & INDEX_FLAG:
                raise damaged(self.name, f"the directory {directory.number} has no checksum")


def _zeros(length: int) -> Iterator[bytes]:
    while length > 0:
        yield bytes(min(length, PIECE))
        length -= PIECE
