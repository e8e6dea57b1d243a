"""Reads a FAT32 volume (Microsoft FAT specification "fatgen103", 2000), strictly.

    boot sector = its backup; FAT = second FAT
    root directory ─▶ directories ─▶ files: each a chain of clusters that no other file uses

A cluster that is in use but belongs to no file is an error: it could hide data.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator
from typing import Any

from rootfs.image.disk import SECTOR
from rootfs.image.fat import (
    BACKUP_SECTOR,
    BOOT_SECTOR,
    DIRECTORY,
    DIRECTORY_ENTRY,
    FSINFO,
    VOLUME_ID,
)
from rootfs.image.fat_names import LAST_LONG_ENTRY, LONG_ENTRY, LONG_NAME, checksum
from rootfs.inspection.window import View, damaged

CLUSTER_NUMBER = 0x0FFFFFFF  # the upper four bits of an entry are reserved
END = 0x0FFFFFF8  # an entry of this value or more ends its chain
DEEPEST = 16  # nested directories
LARGEST_TABLE = 1 << 16  # sectors: a FAT of 32 MiB, for a partition of 4 GiB


class Fat:
    """A FAT32 volume. Every method raises BuildError for damaged or unsupported data."""

    def __init__(self, view: View) -> None:
        self._view = view
        head = view.read(0, 2 * SECTOR)
        if head[:SECTOR] != view.read(BACKUP_SECTOR * SECTOR, SECTOR):
            raise damaged(view.name, "the boot sector and its backup differ")
        boot = BOOT_SECTOR.unpack(head)
        info = FSINFO.unpack(head[SECTOR:])
        signatures = (boot["Signature"], info["FSI_LeadSig"], info["FSI_TrailSig"])
        fields = ("BPB_BytsPerSec", "BPB_SecPerClus", "BPB_NumFATs", "BPB_FATSz16")
        shape = tuple(boot[name] for name in fields)
        if signatures != (0xAA55, 0x41615252, 0xAA550000) or shape != (SECTOR, 1, 2, 0):
            raise damaged(view.name, "is not a FAT32 volume with two tables and 512-byte clusters")
        self._fat = self._table(boot)
        data = boot["BPB_RsvdSecCnt"] + 2 * boot["BPB_FATSz32"]
        self._first = data * SECTOR
        self._clusters = boot["BPB_TotSec32"] - data
        if boot["BPB_TotSec32"] * SECTOR > view.size or self._clusters + 2 > len(self._fat):
            raise damaged(view.name, "its stated size is larger than its partition or its table")
        self._root = boot["BPB_RootClus"]
        self._used: set[int] = set()

    def files(self) -> dict[str, Iterator[bytes]]:
        """All files: path → content in pieces. Checks all chains."""
        self._used = set()
        found: dict[str, Iterator[bytes]] = {}
        for path, pieces in self._directory(self._root, ""):
            if path in found:
                raise damaged(self._view.name, f"two of its files have the name {path}")
            found[path] = pieces
        for number in range(2, self._clusters + 2):
            if self._fat[number] & CLUSTER_NUMBER and number not in self._used:
                raise damaged(self._view.name, f"cluster {number} is in use but has no file")
        return found

    def _table(self, boot: dict[str, Any]) -> array[int]:
        sectors, start = boot["BPB_FATSz32"], boot["BPB_RsvdSecCnt"] * SECTOR
        if not 0 < sectors <= LARGEST_TABLE:
            raise damaged(self._view.name, "its table has an impossible size")
        first = self._view.read(start, sectors * SECTOR)
        if first != self._view.read(start + sectors * SECTOR, sectors * SECTOR):
            raise damaged(self._view.name, "the two file allocation tables differ")
        entries = array("I", first)
        if sys.byteorder == "big":
            entries.byteswap()
        return entries

    def _directory(self, cluster: int, above: str) -> Iterator[tuple[str, Iterator[bytes]]]:
        if above.count("/") > DEEPEST:
            raise damaged(self._view.name, f"its directories are nested too deeply: {above[:40]}")
        data = b"".join(self._pieces(self._chain(cluster)))
        parts: list[dict[str, Any]] = []
        for at in range(0, len(data), DIRECTORY_ENTRY.size):
            raw = data[at : at + DIRECTORY_ENTRY.size]
            entry = DIRECTORY_ENTRY.unpack(raw)
            if raw[0] == 0:
                return
            if entry["DIR_Attr"] == LONG_NAME:
                parts.append(LONG_ENTRY.unpack(raw))
                continue
            name, parts = self._name(entry["DIR_Name"], parts), []
            if raw[0] == ord(".") or entry["DIR_Attr"] & VOLUME_ID:
                continue
            first = entry["DIR_FstClusHI"] << 16 | entry["DIR_FstClusLO"]
            if entry["DIR_Attr"] & DIRECTORY:
                yield from self._directory(first, f"{above}{name}/")
            else:
                chain, size = self._chain(first) if first else [], entry["DIR_FileSize"]
                if len(chain) != -(-size // SECTOR):
                    raise damaged(self._view.name, f"the chain of {above}{name} has a wrong length")
                yield above + name, self._pieces(chain, size)

    def _name(self, short: bytes, parts: list[dict[str, Any]]) -> str:
        if not parts:
            base, extension = (
                part.decode("ascii", "replace").rstrip() for part in (short[:8], short[8:])
            )
            return f"{base}.{extension}" if extension else base
        orders = [part["LDIR_Ord"] & ~LAST_LONG_ENTRY for part in parts]
        whole = orders == list(range(len(parts), 0, -1))
        if not whole or any(part["LDIR_Chksum"] != checksum(short) for part in parts):
            raise damaged(self._view.name, "a long name does not belong to its file")
        units = b"".join(
            part["LDIR_Name1"] + part["LDIR_Name2"] + part["LDIR_Name3"] for part in reversed(parts)
        )
        return units.decode("utf-16-le", "replace").partition("\0")[0].rstrip("\uffff")

    def _chain(self, cluster: int) -> list[int]:
        chain = []
        while cluster < END:
            if not 2 <= cluster < self._clusters + 2 or cluster in self._used:
                raise damaged(self._view.name, f"a chain names cluster {cluster}")
            self._used.add(cluster)
            chain.append(cluster)
            cluster = self._fat[cluster] & CLUSTER_NUMBER
        return chain

    def _pieces(self, chain: list[int], size: int | None = None) -> Iterator[bytes]:
        """The bytes of a chain; contiguous clusters are read in pieces of up to 1 MiB."""
        left = len(chain) * SECTOR if size is None else size
        most, at = (1 << 20) // SECTOR, 0
        while at < len(chain):
            run = 1
            while run < most and at + run < len(chain) and chain[at + run] == chain[at] + run:
                run += 1
            place = self._first + (chain[at] - 2) * SECTOR
            data = self._view.read(place, run * SECTOR)
            yield data[:left]
            left, at = left - len(data[:left]), at + run
