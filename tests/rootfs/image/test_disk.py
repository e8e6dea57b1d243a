"""rootfs.image.disk: records, and disks as extents, compared with plain bytes."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plan.errors import BuildError
from rootfs.image.disk import Disk, Extent, Record, round_up
from tests.rootfs.tools import quick


def test_a_record_packs_fields_in_order() -> None:
    record = Record("<", Magic="2s", Size="I", Flags="H")
    assert record.size == 8
    assert record.pack(Flags=0x102, Magic=b"A") == b"A\0\0\0\0\0\x02\x01"
    assert Record(">", Size="H", Rest="2s").pack(Size=1) == b"\0\x01\0\0"
    with pytest.raises(TypeError, match="Sise"):
        record.pack(Sise=1)
    with pytest.raises(ValueError, match="2 bytes"):
        record.pack(Magic=b"ABC")


@pytest.mark.parametrize(("value", "result"), [(0, 0), (1, 512), (512, 512), (513, 1024)])
def test_round_up(value: int, result: int) -> None:
    assert round_up(value, 512) == result


gaps = st.lists(st.tuples(st.integers(0, 300), st.binary(min_size=1, max_size=300)), max_size=8)


@quick
@given(gaps=gaps, tail=st.integers(0, 300), piece=st.integers(1, 400))
def test_pieces_are_the_bytes(gaps: list[tuple[int, bytes]], tail: int, piece: int) -> None:
    data, extents = b"", []
    for gap, origin in gaps:
        data += bytes(gap)
        extents.append(Extent(len(data), len(origin), b"skipped" + origin, skip=7))
        data += origin
    data += bytes(tail)
    disk = Disk(len(data), tuple(extents))
    found = bytearray(len(data))
    for offset, part in disk.pieces(piece):
        assert offset % piece == 0
        assert len(part) == min(piece, len(data) - offset)
        found[offset : offset + len(part)] = part
    assert bytes(found) == data
    out = io.BytesIO()
    disk.write(out)
    assert out.getvalue().ljust(len(data), b"\0") == data
    moved = Disk(len(data) + 1000, disk.moved(1000))
    assert b"".join(part for _, part in moved.pieces(1 << 20))[1000:] == (data if extents else b"")


def test_holes_of_a_file_cost_nothing(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    with raw.open("wb") as file:
        file.seek(1 << 30)
        file.write(b"end")
    disk = Disk.of_file(raw)
    assert disk.size == (1 << 30) + 512
    assert sum(extent.length for extent in disk.extents) < 1 << 20
    assert [offset for offset, _ in disk.pieces(1 << 16)] == [1 << 30]
    copy = tmp_path / "copy"
    with copy.open("wb") as file:
        disk.write(file)
    assert copy.stat().st_blocks * 512 < 1 << 20
    os.truncate(raw, disk.size)
    assert Disk.of_file(raw).size == disk.size == copy.stat().st_size
    raw.write_bytes(b"")
    assert Disk.of_file(raw) == Disk(0, ())


def test_files_that_fail(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    with pytest.raises(BuildError, match="No such file"):
        Disk.of_file(raw)
    raw.write_bytes(b"x" * 600)
    disk = Disk.of_file(raw)
    raw.write_bytes(b"x" * 599)
    with pytest.raises(BuildError, match="became shorter") as caught:
        list(disk.pieces(512))
    assert caught.value.where == str(raw)


@pytest.mark.parametrize(
    "extents",
    [
        (Extent(0, 2, b"ab"), Extent(1, 1, b"c")),
        (Extent(4, 1, b"a"), Extent(0, 1, b"b")),
        (Extent(9, 2, b"ab"),),
        (Extent(-1, 2, b"ab"),),
    ],
)
def test_impossible_disks(extents: tuple[Extent, ...]) -> None:
    with pytest.raises(ValueError, match="extents"):
        Disk(10, extents)
