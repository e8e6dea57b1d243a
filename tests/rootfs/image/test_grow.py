"""rootfs.image.grow: sgdisk checks a disk that has become larger."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from plan.errors import BuildError
from rootfs.image import gpt
from rootfs.image.disk import MIB, Disk, Extent
from rootfs.image.grow import grow, grow_file_system
from tests.rootfs.tools import tool

CONTENT = b"contents of the partition"


def make_disk(path: Path, *, larger_by: int) -> Path:
    """A disk with two partitions in a raw file, which was made larger by that many bytes."""
    first = Disk(MIB, (Extent(0, 4, b"boot"),))
    second = Disk(3 * MIB, (Extent(0, len(CONTENT), CONTENT),))
    partitions = [
        gpt.Partition(first, gpt.EFI_SYSTEM, "ESP"),
        gpt.Partition(second, gpt.LINUX_FILESYSTEM, "root"),
    ]
    with path.open("wb") as file:
        disk = gpt.disk(partitions, identity="test")
        disk.write(file)
        file.truncate(disk.size + larger_by)
    return path


def sectors(path: Path, number: int) -> tuple[int, int]:
    said = tool("sgdisk", f"--info={number}", path)
    first, last = (re.search(rf"{word} sector: (\d+)", said) for word in ("First", "Last"))
    assert first and last
    return int(first[1]), int(last[1])


@pytest.mark.parametrize("larger_by", [MIB, 5 * MIB + 512, 3 << 30])
def test_the_last_partition_reaches_to_the_end(tmp_path: Path, larger_by: int) -> None:
    disk = make_disk(tmp_path / "disk", larger_by=larger_by)
    before = [sectors(disk, number) for number in (1, 2)]
    guid = tool("sgdisk", "--info=2", disk).splitlines()[1]
    assert grow(str(disk)) == 2
    said = tool("sgdisk", "--verify", disk)
    assert "No problems found" in said, said
    after = [sectors(disk, number) for number in (1, 2)]
    assert after[0] == before[0] and after[1][0] == before[1][0]
    assert disk.stat().st_size - (after[1][1] + 1) * 512 < 2 * MIB
    assert tool("sgdisk", "--info=2", disk).splitlines()[1] == guid
    with disk.open("rb") as file:
        file.seek(after[1][0] * 512)
        assert file.read(len(CONTENT)) == CONTENT
    assert grow(str(disk)) is None


def test_a_disk_of_the_same_size_is_left_alone(tmp_path: Path) -> None:
    disk = make_disk(tmp_path / "disk", larger_by=0)
    before = disk.read_bytes()
    assert grow(str(disk)) is None
    assert disk.read_bytes() == before


@pytest.mark.parametrize(
    ("damaged", "new"),
    [
        (512 + 4, b"\xa5"),
        (512 + 60, b"\xa5"),
        (1024 + 3, b"\xa5"),
        (512 + 72, b"\xff" * 8),  # where the entries are
    ],
)
def test_a_damaged_table_is_left_alone(tmp_path: Path, damaged: int, new: bytes) -> None:
    disk = make_disk(tmp_path / "disk", larger_by=MIB)
    with disk.open("r+b") as file:
        file.seek(damaged)
        file.write(new)
    before = disk.read_bytes()
    with pytest.raises(BuildError, match="no valid GUID partition table"):
        grow(str(disk))
    assert disk.read_bytes() == before


def run(disk: Path, mounted: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rootfs.image.grow", str(disk), str(mounted)]
    root = Path(__file__).resolve().parents[3]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def test_as_a_program(tmp_path: Path) -> None:
    disk = make_disk(tmp_path / "disk", larger_by=MIB)
    # The partition grows; what is mounted there is no ext4 that could. The next run tries again.
    for done in (run(disk, Path("/proc")), run(disk, Path("/proc"))):
        assert done.returncode == 1 and done.stderr.startswith("grow: ")
    disk.write_bytes(bytes(600))
    assert "no valid GUID partition table" in run(disk, Path("/proc")).stderr
    disk.write_bytes(bytes(1 << 20))
    done = run(disk, Path("/proc"))
    assert done.returncode == 1 and "no valid GUID partition table" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts, so it needs root")
def test_a_mounted_file_system_fills_its_device(tmp_path: Path) -> None:
    image, mounted = tmp_path / "ext4", tmp_path / "mounted"
    mounted.mkdir()
    with image.open("wb") as file:
        file.truncate(16 << 20)
    tool("mkfs.ext4", "-q", "-b", "4096", image)
    with image.open("r+b") as file:
        file.truncate(64 << 20)
    if subprocess.run(["mount", "-o", "loop", image, mounted], check=False).returncode:
        pytest.skip("no loop devices here")
    try:
        before = os.statvfs(mounted).f_blocks
        try:
            grow_file_system(mounted)
        except PermissionError:
            pytest.skip("root without CAP_SYS_RESOURCE")
        assert os.statvfs(mounted).f_blocks > 3 * before
    finally:
        tool("umount", mounted)
    tool("e2fsck", "-f", "-n", image)
