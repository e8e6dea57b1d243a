"""rootfs.image.qcow2: qemu-img finds the files valid and equal to the raw disk."""

from __future__ import annotations

import io
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plan.errors import BuildError
from rootfs.image import qcow2
from rootfs.image.disk import Disk, Extent
from tests.rootfs.tools import quick, tool

CLUSTER = qcow2.CLUSTER
NOISE = random.Random(1).randbytes(3 * CLUSTER)


def checked(disk: Disk, directory: Path, **options: int) -> dict[str, int]:
    """Write the disk both ways and let qemu-img compare; what `qemu-img check` counted."""
    image, raw = directory / "image.qcow2", directory / "image.raw"
    with image.open("wb") as file, raw.open("wb") as plain:
        written = qcow2.write(disk, file, **options)
        disk.write(plain)
    assert image.stat().st_size == written
    report = json.loads(tool("qemu-img", "check", "--output=json", "-f", "qcow2", image))
    assert not {"corruptions", "leaks", "check-errors"} & {k for k, v in report.items() if v}
    info = json.loads(tool("qemu-img", "info", "--output=json", image))
    assert info["virtual-size"] == disk.size
    assert info["format-specific"]["data"]["compat"] == "1.1"
    tool("qemu-img", "compare", "-f", "qcow2", "-F", "raw", image, raw)
    return {name: report.get(name, 0) for name in ("allocated-clusters", "compressed-clusters")}


def data(kind: str, length: int) -> bytes:
    start = length % 1000
    return {
        "zero": bytes(length),
        "noise": NOISE[start : start + length],
        "text": (b"%d bytes of text; " % length * (length // 10 + 1))[:length],
        "far": NOISE[start : start + 8000] * (length // 8000 + 1),  # beyond the window
        "mixed": (NOISE[start : start + 900] + b"x" * 100) * (length // 1000 + 1),
    }[kind][:length]


lengths = st.one_of(st.integers(1, 700), st.integers(1, 2 * CLUSTER), st.just(CLUSTER))
pieces = st.tuples(lengths, st.sampled_from(["zero", "noise", "text", "far", "mixed"]), lengths)


@pytest.mark.fault("any disk, written as QCOW2", "`qemu-img` checks it and reads the same bytes")
@quick
@given(parts=st.lists(pieces, max_size=12), threads=st.integers(1, 5), level=st.integers(1, 9))
def test_random_disks(parts: list[tuple[int, str, int]], threads: int, level: int) -> None:
    extents, at = [], 0
    for length, kind, gap in parts:
        extents.append(Extent(at, length, data(kind, length)))
        at += length + gap
    disk = Disk(-(-at // 512) * 512, tuple(extents))
    with tempfile.TemporaryDirectory() as directory:
        checked(disk, Path(directory), threads=threads, level=level)


def row(*kinds: str) -> Disk:
    """A disk with one cluster of each kind."""
    return Disk(
        len(kinds) * CLUSTER,
        tuple(Extent(n * CLUSTER, CLUSTER, data(kind, CLUSTER)) for n, kind in enumerate(kinds)),
    )


@pytest.mark.parametrize(
    ("kinds", "allocated", "compressed", "size"),
    [
        ([], 0, 0, 4),
        (["zero"] * 9, 0, 0, 4),
        (["text"] * 9, 9, 9, 6),
        (["noise"] * 9, 9, 0, 14),
        (["far"] * 2, 2, 0, 7),
        (["noise", "zero", "text"] * 3, 6, 3, 9),
        (["mixed"] * 8, 8, 8, 13),  # nine tenths of a cluster each: across the borders
        (["mixed", "noise"] * 8, 16, 8, 21),  # the borders are not next to each other
    ],
)
def test_what_is_stored(
    tmp_path: Path, kinds: list[str], allocated: int, compressed: int, size: int
) -> None:
    counts = checked(row(*kinds), tmp_path)
    assert counts == {"allocated-clusters": allocated, "compressed-clusters": compressed}
    assert (tmp_path / "image.qcow2").stat().st_size <= size * CLUSTER


def test_qemu_converts_back_to_the_same_bytes(tmp_path: Path) -> None:
    disk = row("noise", "text", "zero", "mixed", "mixed", "zero")
    checked(disk, tmp_path)
    tool("qemu-img", "convert", "-O", "raw", tmp_path / "image.qcow2", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "image.raw").read_bytes()


@pytest.mark.parametrize(
    "size", [0, 512, CLUSTER - 512, CLUSTER + 512, 8192 * CLUSTER, 8192 * CLUSTER + 512, 1 << 43]
)
def test_sizes(tmp_path: Path, size: int) -> None:
    """Around the borders of clusters and L2 tables, and an L1 table of several clusters."""
    places = {0, size // 2 // 512 * 512, size - 512} if size else set()
    extents = (Extent(place, 512, data("text", 512)) for place in sorted(places))
    counts = checked(Disk(size, tuple(extents)), tmp_path)
    assert counts["allocated-clusters"] == len({place // CLUSTER for place in places})


def test_many_refcount_blocks_and_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the smallest clusters, what takes gigabytes with ours fits into a few megabytes."""
    for name, value in {
        "CLUSTER_BITS": 9, "CLUSTER": 512, "L2_ENTRIES": 64, "REFCOUNT_ENTRIES": 256,
        "SECTORS_SHIFT": 61,
    }.items():  # fmt: skip
        monkeypatch.setattr(qcow2, name, value)
    for clusters in range(247, 252):  # with the metadata, around the 256 of a refcount block
        noise = tuple(Extent(n * 512, 512, data("noise", 512)) for n in range(clusters))
        checked(Disk(clusters * 512, noise), tmp_path)
    kinds = ("noise", "noise", "text", "zero")  # more than the 64 blocks of a table's cluster
    mixed = tuple(Extent(n * 512, 512, data(kinds[n % 7 % 4], 512)) for n in range(30000))
    checked(Disk(30000 * 512, mixed), tmp_path)
    header = (tmp_path / "image.qcow2").read_bytes()[: qcow2.HEADER.size]
    assert int.from_bytes(header[56:60], "big") == 2  # refcount_table_clusters


def test_threads_do_not_show() -> None:
    disk = row(*["text", "noise", "mixed", "zero", "mixed"] * 8)
    outputs = []
    for threads in (1, 2, 7):
        out = io.BytesIO()
        qcow2.write(disk, out, threads=threads)
        outputs.append(out.getvalue())
    assert outputs[0] == outputs[1] == outputs[2]


def test_holes_cost_nothing_and_memory_is_bounded(tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    origin.write_bytes(os.urandom(4 << 20))
    program = f"""
from pathlib import Path
from rootfs.image.disk import Disk, Extent
from rootfs.image.qcow2 import write
parts = tuple(Extent(n << 34, 4 << 20, Path({str(origin)!r})) for n in range(12))
with open({str(tmp_path / "image")!r}, "wb") as file:
    write(Disk(1 << 40, parts), file, level=1)
status = Path("/proc/self/status").read_text()
print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
"""
    environment = {**os.environ, "PYTHONPATH": os.fspath(Path(__file__).parents[3])}
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, check=True
    )
    assert int(result.stdout) < 50 << 10, "48 MiB of data on a disk of 1 TiB"


@pytest.mark.fault("a disk that QCOW2 cannot hold", "one error")
def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="sectors"):
        qcow2.write(Disk(100, ()), io.BytesIO())
    file = tmp_path / "file"
    file.write_bytes(b"x" * 10 * CLUSTER)
    disk = Disk.of_file(file)
    os.truncate(file, 4 * CLUSTER)
    with pytest.raises(BuildError, match="became shorter"):
        qcow2.write(disk, io.BytesIO())
