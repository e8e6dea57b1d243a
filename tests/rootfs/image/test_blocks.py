"""rootfs.image.{vdi,vmdk,vhd}, and raw: qemu-img and our readers read the same bytes.

The readers of libyal (Debian: libvmdk-utils, libvhdi-utils) are asked too where they are installed.
"""

from __future__ import annotations

import io
import json
import random
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plan.errors import BuildError
from plan.settings.parameters import FORMATS
from rootfs.image import vdi, vhd, vmdk
from rootfs.image.assemble import WRITERS
from rootfs.image.disk import MIB, Disk, Extent
from rootfs.inspection.disk_file import reader_of
from rootfs.inspection.window import FileView
from rootfs.vm.firmware import file_format
from tests.rootfs.tools import quick, tool

NOISE = random.Random(1).randbytes(3 * MIB)
MAPPED = ("vmdk", "vdi", "vhd")
# What QEMU and `doit inspect` call them.
OF_QEMU = {"qcow2": "qcow2", "raw": "raw", "vmdk": "vmdk", "vdi": "vdi", "vhd": "vpc"}
TITLES = {"vmdk": "VMDK", "vdi": "VDI", "vhd": "VHD"}


def written(disk: Disk, form: str, directory: Path) -> Path:
    path = directory / f"image.{form}"
    with path.open("wb") as file:
        WRITERS[form](disk, file)
    return path


def read(path: Path) -> tuple[str, bytes]:
    """What our reader says of the file, and the whole disk in it."""
    with path.open("rb") as file:
        title, reader = reader_of(FileView(file, path.name))
        disk, _ = reader(FileView(file, path.name))
        content = disk.read(0, disk.size)
        middle = len(content) // 2 - 5
        assert disk.read(middle, 10) == content[middle : middle + 10]
        return title, content


def check(disk: Disk, form: str, directory: Path) -> None:
    path, raw = written(disk, form, directory), written(disk, "raw", directory)
    name = OF_QEMU[form]
    assert file_format(path) == name
    told = json.loads(tool("qemu-img", "info", "--output=json", "-f", name, path))
    assert told["virtual-size"] == disk.size
    assert "identical" in tool("qemu-img", "compare", "-f", name, "-F", "raw", path, raw)
    if form != "vhd":  # QEMU has no check of VHD
        tool("qemu-img", "check", "-f", name, path)
    assert read(path) == (TITLES[form], raw.read_bytes())
    again = written(disk, form, directory)
    assert again.read_bytes() == path.read_bytes()


places = st.lists(st.tuples(st.integers(0, 40 * 2048), st.integers(1, 3 * MIB)), max_size=6)


@pytest.mark.fault(
    "any disk, written as VMDK, VDI or VHD", "`qemu-img` and `./bq2 inspect` read the same bytes"
)
@pytest.mark.parametrize("form", MAPPED)
@quick
@given(places=places)
def test_random_disks(form: str, places: list[tuple[int, int]]) -> None:
    extents, end = list[Extent](), 0
    for sector, length in sorted(places):
        start = max(sector * 512, end)
        extents.append(Extent(start, length, NOISE))
        end = start + length
    size = -(-max(end, 1) // MIB) * MIB
    with tempfile.TemporaryDirectory() as directory:
        check(Disk(size, tuple(extents)), form, Path(directory))


@pytest.mark.parametrize("form", MAPPED)
@pytest.mark.parametrize("mib", [1, 32, 33, 4100])
def test_sizes(tmp_path: Path, form: str, mib: int) -> None:
    """Around the borders of the tables; beyond 4 GiB."""
    size = mib * MIB
    extents = (Extent(0, 512, NOISE), Extent(size - 512, 512, NOISE))
    path = written(Disk(size, extents), form, tmp_path)
    told = json.loads(tool("qemu-img", "info", "--output=json", "-f", OF_QEMU[form], path))
    assert told["virtual-size"] == size
    assert path.stat().st_blocks * 512 < 8 * MIB, "zeros take room"


@pytest.mark.parametrize(("form", "program"), [("vmdk", "vmdkinfo"), ("vhd", "vhdiinfo")])
def test_another_reader_agrees(tmp_path: Path, form: str, program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    told = tool(program, written(Disk(70 * MIB, (Extent(MIB, 512, NOISE),)), form, tmp_path))
    assert "70 MiB (73400320 bytes)" in told


def test_the_identifiers_are_of_the_content(tmp_path: Path) -> None:
    one, two = (Disk(MIB, (Extent(0, 512, NOISE[n:]),)) for n in range(2))
    at = {"vdi": slice(392, 424), "vhd": slice(MIB + 68, MIB + 84), "vmdk": slice(538, 550)}
    for form, place in at.items():
        found = [written(disk, form, tmp_path).read_bytes()[place] for disk in (one, two)]
        assert found[0] != found[1] and any(found[0]), form


def test_there_is_a_writer_for_each_format() -> None:
    assert [*WRITERS] == [*FORMATS] == [*OF_QEMU]


@pytest.mark.fault("a disk that VMDK, VDI or VHD cannot hold", "one error")
@pytest.mark.parametrize("module", [vdi, vhd, vmdk])
def test_part_of_a_block(module: object) -> None:
    with pytest.raises(BuildError, match="not a whole number of blocks"):
        module.write(Disk(MIB + 512, ()), io.BytesIO())  # type: ignore[attr-defined]


# --- changed files -----------------------------------------------------------------------------

DISK = Disk(40 * MIB, (Extent(0, 1000, NOISE), Extent(9 * MIB, 2 * MIB, NOISE)))
# A format, where the byte is that is changed (from the end if it is negative), and what is said.
CHANGES = [
    ("vdi", 68, "u32Version"),
    ("vdi", 84, "szComment"),
    ("vdi", 384, "its map does not have the size"),
    ("vdi", 388, "it counts its blocks wrongly"),
    ("vdi", 424, "uuidLinkage"),
    ("vdi", 512, "not in order"),
    ("vdi", 512 + 4 * 20, "it counts its blocks wrongly"),
    ("vdi", 512 + 4 * 40, "between its map and its blocks"),
    ("vmdk", 4, "version"),
    ("vmdk", 100, "pad"),
    ("vmdk", 520, "its descriptor"),
    ("vmdk", 22 * 512, "two copies of its tables"),
    ("vmdk", 21 * 512, "its directory of tables"),
    ("vhd", -512 + 60, "DiskType"),
    ("vhd", -512 + 64, "Checksum"),
    ("vhd", -1, "Reserved"),
]


@pytest.mark.fault(
    "a byte of a VMDK, VDI or VHD file outside of its disk changed", "`./bq2 inspect` names it"
)
@pytest.mark.parametrize(("form", "at", "told"), CHANGES)
def test_a_changed_byte(tmp_path: Path, form: str, at: int, told: str) -> None:
    path = written(DISK, form, tmp_path)
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(BuildError, match=told):
        read(path)


@pytest.mark.fault("a VDI file says that it has four billion blocks", "one error, no traceback")
def test_more_blocks_than_there_can_be(tmp_path: Path) -> None:
    path = written(DISK, "vdi", tmp_path)
    content = bytearray(path.read_bytes())
    content[384:388] = b"\xff" * 4
    path.write_bytes(content)
    with pytest.raises(BuildError, match="its map does not have the size of the disk"):
        read(path)


@pytest.mark.fault(
    "a VMDK, VDI or VHD file is cut off or has more bytes", "`./bq2 inspect` says it"
)
@pytest.mark.parametrize("form", MAPPED)
def test_another_length(tmp_path: Path, form: str) -> None:
    path = written(DISK, form, tmp_path)
    content = path.read_bytes()
    for changed in (content + bytes(512), content[:-512], content[:300], content[:1500]):
        path.write_bytes(changed)
        with pytest.raises(BuildError):
            read(path)
