"""rootfs.image.gpt: sgdisk accepts the tables and would write the same ones."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plan.errors import BuildError
from rootfs.image import gpt
from rootfs.image.disk import MIB, Disk, Extent
from tests.rootfs.tools import quick, tool


def part(name: str, size: int, kind: UUID = gpt.LINUX_FILESYSTEM) -> gpt.Partition:
    return gpt.Partition(Disk(size, (Extent(0, 5, name[:5].ljust(5).encode()),)), kind, name)


def write(disk: Disk, path: Path) -> Path:
    with path.open("wb") as file:
        disk.write(file)
    return path


def test_sgdisk_finds_what_was_put_in(tmp_path: Path) -> None:
    sizes = {"ESP": 33 * MIB, "root": 5 * MIB + 512, "data \N{SNOWMAN}": 512}
    kinds = {"ESP": gpt.EFI_SYSTEM}
    parts = [
        part(name, size, kinds.get(name, gpt.LINUX_FILESYSTEM)) for name, size in sizes.items()
    ]
    raw = write(gpt.disk(parts, identity="a"), tmp_path / "raw")
    assert "No problems found" in tool("sgdisk", "-v", raw)
    assert str(gpt.guid("a", "disk")).upper() in tool("sgdisk", "-p", raw)
    start = MIB
    for number, (name, size) in enumerate(sizes.items(), 1):
        info = tool("sgdisk", "-i", str(number), raw)
        assert f"Partition unique GUID: {str(gpt.partition_guid('a', name)).upper()}" in info
        assert f"code: {str(kinds.get(name, gpt.LINUX_FILESYSTEM)).upper()} (" in info
        assert f"Partition name: '{name}'" in info
        assert f"First sector: {start // 512} " in info
        assert raw.read_bytes()[start : start + 5] == name[:5].ljust(5).encode()
        start += -(-size // MIB) * MIB
        assert f"Last sector: {start // 512 - 1} " in info


@pytest.mark.fault("any partitions, written as GPT", "`sgdisk` finds no problem and the same sizes")
@quick
@given(st.lists(st.integers(1, 64 * MIB), max_size=12))
def test_random_partitions(tmp_path_factory: pytest.TempPathFactory, sizes: list[int]) -> None:
    parts = [gpt.Partition(Disk(n, ()), gpt.EFI_SYSTEM, f"p{i}") for i, n in enumerate(sizes)]
    raw = write(gpt.disk(parts, identity="r"), tmp_path_factory.mktemp("gpt") / "raw")
    assert "No problems found" in tool("sgdisk", "-v", raw)
    printed = [line.split() for line in tool("sgdisk", "-p", raw).splitlines()]
    found = [int(line[2]) - int(line[1]) + 1 for line in printed if line and line[0].isdigit()]
    assert found == [-(-size // MIB) * MIB // 512 for size in sizes]


@pytest.mark.parametrize(  # a few: sgdisk rests for a second whenever it has written
    ("sizes", "identity"), [([], ""), ([33 * MIB], "a"), ([1, MIB + 1, 9 << 30], "\N{SNOWMAN}")]
)
def test_sgdisk_writes_the_same(tmp_path: Path, sizes: list[int], identity: str) -> None:
    parts = [gpt.Partition(Disk(n, ()), gpt.EFI_SYSTEM, f"p{i}") for i, n in enumerate(sizes)]
    disk = gpt.disk(parts, identity=identity)
    ours, theirs = write(disk, tmp_path / "ours"), write(Disk(disk.size, ()), tmp_path / "theirs")
    commands, start = ["-o", f"-U{gpt.guid(identity, 'disk')}"], MIB // 512
    for number, size in enumerate(sizes, 1):
        end = start + -(-size // MIB) * MIB // 512
        guid = gpt.partition_guid(identity, f"p{number - 1}")
        commands += [f"-n{number}:{start}:{end - 1}", f"-t{number}:{gpt.EFI_SYSTEM}"]
        commands += [f"-u{number}:{guid}", f"-c{number}:p{number - 1}"]
        start = end
    tool("sgdisk", *commands, theirs)
    with ours.open("rb") as one, theirs.open("r+b") as two:
        two.write(gpt.MBR.unpack(one.read(512))["BootCode"])  # sgdisk writes none
    for where, length in ((0, 34 * 512), (disk.size - 33 * 512, 33 * 512)):
        with ours.open("rb") as one, theirs.open("rb") as two:
            one.seek(where)
            two.seek(where)
            assert one.read(length) == two.read(length)


def test_large_disks(tmp_path: Path) -> None:
    """Past what cylinders, and what 32 bits of sectors, can say."""
    for size in (9 << 30, 3 << 40):
        raw = write(gpt.disk([part("large", size)], identity="a"), tmp_path / "raw")
        assert "No problems found" in tool("sgdisk", "-v", raw)
        assert raw.read_bytes()[450:454] == b"\xee\xff\xff\xff" if size < 1 << 33 else True
        raw.unlink()


def test_guids_follow_from_the_identity() -> None:
    one, same, other = (gpt.disk([part("a", 512)], identity=i) for i in ("x", "x", "y"))
    assert one == same
    assert one != other
    assert gpt.partition_guid("x", "a") not in (gpt.partition_guid("x", "b"), gpt.guid("x", "disk"))


@pytest.mark.fault("partitions that GPT cannot hold", "one error")
@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "b", "a"], "same name"),
        (["n" * 37], "36"),
        (["\N{GRINNING FACE}" * 19], "36"),
        ([str(number) for number in range(129)], "128"),
    ],
)
def test_impossible_partitions(names: list[str], message: str) -> None:
    with pytest.raises(BuildError, match=message):
        gpt.disk([part(name, 5) for name in names], identity="a")


def test_as_many_and_as_long_as_possible(tmp_path: Path) -> None:
    names = [f"{number:036}" for number in range(128)]
    raw = write(gpt.disk([part(name, 5) for name in names], identity="a"), tmp_path / "raw")
    assert "No problems found" in tool("sgdisk", "-v", raw)
    assert f"'{names[-1]}'" in tool("sgdisk", "-i128", raw)
