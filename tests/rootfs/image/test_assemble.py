"""rootfs.image.assemble: real tools take the whole disk apart again."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from plan.errors import BuildError
from rootfs.image import gpt
from rootfs.image.assemble import RawPartition, write_image
from tests.rootfs.tools import tool

MIB = 1 << 20


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    path = tmp_path / "kernel"
    path.write_bytes(b"MZ" + os.urandom(3 * MIB + 77))
    return path


def build(out: Path, kernel: Path, *partitions: RawPartition) -> Path:
    write_image(
        out,
        efi_executable=kernel,
        efi_name="BOOTX64.EFI",
        identity="an identity",
        partitions=partitions,
    )
    return out


def to_raw(image: Path) -> Path:
    tool("qemu-img", "check", "-f", "qcow2", image)
    raw = image.with_suffix(".raw")
    tool("qemu-img", "convert", "-f", "qcow2", "-O", "raw", image, raw)
    assert "No problems found" in tool("sgdisk", "-v", raw)
    return raw


def test_the_executable_is_where_firmware_looks(tmp_path: Path, kernel: Path) -> None:
    image = build(tmp_path / "image.qcow2", kernel)
    assert image.stat().st_size < kernel.stat().st_size + MIB // 2
    raw = to_raw(image)
    assert "(EFI system partition)" in tool("sgdisk", "-i1", raw)
    tool("mcopy", "-n", "-i", f"{raw}@@1M", "::/EFI/BOOT/BOOTX64.EFI", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == kernel.read_bytes()
    with raw.open("rb") as disk:
        disk.seek(MIB)
        (tmp_path / "esp").write_bytes(disk.read(33 * MIB))
    tool("fsck.fat", "-n", tmp_path / "esp")
    assert "hidden sectors: 2048" in tool("minfo", "-i", f"{raw}@@1M", "::")


def test_further_partitions(tmp_path: Path, kernel: Path) -> None:
    root = tmp_path / "root"
    with root.open("wb") as file:
        file.write(b"superblock")
        file.seek(40 * MIB)
        file.write(os.urandom(1000))
    partitions = [
        RawPartition(root, gpt.LINUX_FILESYSTEM, "root"),
        RawPartition(kernel, gpt.LINUX_FILESYSTEM, "more"),
    ]
    image = build(tmp_path / "image.qcow2", kernel, *partitions)
    assert image.stat().st_size < 2 * kernel.stat().st_size + MIB
    raw = to_raw(image)
    for number, (partition, start) in enumerate(zip(partitions, (34, 75), strict=True), 2):
        info = tool("sgdisk", f"-i{number}", raw)
        assert f"First sector: {start * 2048} " in info
        guid = gpt.partition_guid("an identity", partition.name)
        assert str(guid).upper() in info
        size = partition.file.stat().st_size
        tool("cmp", "-n", str(size), "-i", f"{start * MIB}:0", raw, partition.file)


def test_nothing_of_the_machine_is_in_it(tmp_path: Path, kernel: Path) -> None:
    one = build(tmp_path / "one.qcow2", kernel)
    moved = kernel.rename(tmp_path / "elsewhere")
    os.utime(moved, (1, 1))
    allowed = os.sched_getaffinity(0)
    old = os.umask(0o077)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        two = build(tmp_path / "new directory" / "two", moved)
    finally:
        os.umask(old)
        os.sched_setaffinity(0, allowed)
    assert one.read_bytes() == two.read_bytes()


def test_a_failure_leaves_the_old_image(tmp_path: Path, kernel: Path) -> None:
    out = tmp_path / "out" / "image.qcow2"
    build(out, kernel)
    before = out.read_bytes()
    with pytest.raises(BuildError, match="No such file"):
        build(out, tmp_path / "absent")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)  # as a full disk does, in the middle
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * MIB, limits[1]))
    try:
        with pytest.raises(BuildError, match="cannot be written: File too large") as caught:
            build(out, kernel)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.where == str(out)
    assert out.read_bytes() == before
    assert [path.name for path in out.parent.iterdir()] == ["image.qcow2"]


def test_impossible_images(tmp_path: Path, kernel: Path) -> None:
    out = tmp_path / "image.qcow2"
    with pytest.raises(BuildError, match="not a name for FAT"):
        write_image(out, efi_executable=kernel, efi_name="a:b", identity="i")
    with pytest.raises(BuildError, match="same name"):
        build(out, kernel, RawPartition(kernel, gpt.LINUX_FILESYSTEM, "ESP"))
    with pytest.raises(BuildError, match="cannot be written"):
        build(kernel / "image.qcow2", kernel)
    assert not out.exists()
