"""rootfs.image.fat, fat_names: fsck.fat accepts the volumes and mtools reads them back."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plan.errors import BuildError
from rootfs.image import fat
from rootfs.image.disk import Disk
from rootfs.image.fat_names import name_entries, short_names
from tests.rootfs.tools import contents, make_tree, quick, snapshot, tool

TIME = 1735689600 + 3600 + 2 * 60 + 4


def volume(files: dict[str, Path]) -> Disk:
    return fat.volume(files, label="TEST", volume_id=0x1234ABCD, timestamp=TIME)


def write(disk: Disk, path: Path) -> Path:
    with path.open("wb") as file:
        disk.write(file)
    return path


def volume_of(tree: Path) -> Disk:
    files = (path for path in tree.rglob("*") if path.is_file())
    return volume({os.fspath(path.relative_to(tree)): path for path in files})


def read_back(raw: Path, into: Path) -> dict[str, bytes]:
    """The files that mtools finds, after fsck.fat found nothing wrong."""
    report = tool("fsck.fat", "-nv", raw)
    assert "Checking free cluster summary" in report
    assert not any(word in report for word in ("differences", "wrong", "Free cluster", "Dirty"))
    into.mkdir()
    tool("mcopy", "-s", "-n", "-m", "-i", raw, "::/", into)
    found = snapshot(into)
    return {name: data for name, (_, data, _) in found.items() if (into / name).is_file()}


names = st.from_regex(r"[A-Z0-9_~$-]{1,20}(\.[A-Z0-9]{1,3})?", fullmatch=True)


@pytest.mark.fault("any files, written as FAT", "`fsck.fat` and mtools find the same")
@quick
@given(data=st.data())
def test_random_files_come_back(data: st.DataObject) -> None:
    some = st.lists(names, unique=True, max_size=6)
    above = ["D" + name for name in data.draw(some)]
    files = {
        "/".join([*prefix, "F" + name]): data.draw(contents)
        for prefix in ([], above[:1], above[1:2], above[:2])
        for name in data.draw(some)
    }
    with tempfile.TemporaryDirectory() as directory:
        disk = volume_of(make_tree(Path(directory, "tree"), files))
        raw = write(disk, Path(directory, "raw"))
        assert read_back(raw, Path(directory, "back")) == files


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 70_000, 40 << 20])
def test_sizes_of_files(tmp_path: Path, size: int) -> None:
    files = {"EFI/BOOT/BOOTRISCV64.EFI": os.urandom(size), "NEXT": b"to it"}
    disk = volume_of(make_tree(tmp_path / "tree", files))
    assert disk.size % (1 << 20) == 0
    assert disk.size < (34 << 20) + size
    raw = write(disk, tmp_path / "raw")
    assert read_back(raw, tmp_path / "back") == files
    report = tool("fsck.fat", "-nv", raw)
    assert "2 FATs, 32 bit entries" in report
    clusters = next(line for line in report.splitlines() if line.endswith("bytes)"))
    assert int(clusters.split()[0]) >= 65525 + 16


def test_what_is_to_stay_free_does(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1")
    given = {"FILE": tmp_path / "file"}
    usual = fat.volume(given, label="A", volume_id=1, timestamp=TIME)
    assert fat.volume(given, label="A", volume_id=1, timestamp=TIME, spare=20 << 20) == usual
    larger = fat.volume(given, label="A", volume_id=1, timestamp=TIME, spare=50 << 20)
    assert 50 << 20 < larger.size < 53 << 20
    read_back(write(larger, tmp_path / "raw"), tmp_path / "back")


def test_a_directory_of_many_clusters(tmp_path: Path) -> None:
    files = {f"MANY/RATHERLONG{n}.TXT": b"%d" % n for n in range(300)}
    raw = write(volume_of(make_tree(tmp_path / "tree", files)), tmp_path / "raw")
    assert read_back(raw, tmp_path / "back") == files


def test_label_identity_time_and_place(tmp_path: Path) -> None:
    top = make_tree(tmp_path / "tree", {"DIR/FILE.TXT": b"12345"})
    raw = write(volume_of(top), tmp_path / "raw")
    listing = tool("mdir", "-s", "-i", raw, "::/")
    assert "Volume in drive : is TEST" in listing
    assert "Volume Serial Number is 1234-ABCD" in listing
    assert "FILE     TXT         5 2025-01-01   1:02" in listing
    dated = [line for line in listing.splitlines() if "2025-01-01   1:02" in line]
    assert len(dated) == 4  # DIR, ".", "..", FILE.TXT
    read_back(raw, tmp_path / "back")
    assert (tmp_path / "back/DIR/FILE.TXT").stat().st_mtime == TIME
    placed = fat.volume({}, label="A", volume_id=1, timestamp=TIME, first_sector=2048)
    assert "hidden sectors: 2048" in tool("minfo", "-i", write(placed, tmp_path / "placed"), "::")


def test_boot_sectors_are_the_ones_that_mkfs_writes(tmp_path: Path) -> None:
    """Of the same geometry, and apart from the name of the maker and its boot code."""
    ours = write(volume({}), tmp_path / "ours")
    theirs = tmp_path / "theirs"
    theirs.touch()
    os.truncate(theirs, ours.stat().st_size)
    options = ["-F32", "-s1", "-R32", "-f2", "-g64/32", "-h0", "-i1234ABCD", "-nTEST", "--mbr=n"]
    tool("mkfs.fat", *options, theirs)
    one, two = ours.read_bytes(), theirs.read_bytes()
    sectors_per_fat = slice(36, 40)  # the specification's formula is generous
    for sector in (0, 6 * 512):
        for part in (slice(0, 3), slice(11, 36), slice(40, 90), slice(510, 512)):
            start, end = sector + part.start, sector + part.stop
            assert one[start:end] == two[start:end]
        assert 0 <= one[sectors_per_fat][0] - two[sectors_per_fat][0] <= 8
    for start, end in ((0, 484), (492 + 4, 512)):
        assert one[512 + start : 512 + end] == two[512 + start : 512 + end]
    assert one[512:1024] == one[7 * 512 : 8 * 512]


def test_nothing_of_the_machine_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"B/LONGER-NAME": b"1", "B/TWO": b"2", "A.TXT": b"3", "C": b"4"}
    first = write(volume_of(make_tree(tmp_path / "one", files)), tmp_path / "raw1")
    tree = make_tree(tmp_path / "two", dict(reversed(files.items())))
    os.utime(tree / "C", (1, 1))
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    try:
        second = write(volume_of(tree), tmp_path / "raw2")
    finally:
        monkeypatch.undo()
        time.tzset()
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("BOOTX64.EFI", b"BOOTX64 EFI"),
        ("A", b"A          "),
        ("A_B-C~1.$%", b"A_B-C~1 $% "),
        ("BOOTRISCV64.EFI", b"BOOTRI~1EFI"),
        ("LONGFILENAME", b"LONGFI~1   "),
        ("13-CHARACTERS", b"13-CHA~1   "),
    ],
)
def test_short_names(name: str, short: bytes) -> None:
    assert short_names([name]) == {name: short}
    assert bool(name_entries(name, short)) == (len(name.partition(".")[0]) > 8)


def test_short_names_are_unique_in_a_directory() -> None:
    result = short_names([*(f"ALONGNAME{number}" for number in range(1200)), "ALONGN~1"])
    assert len(set(result.values())) == len(result) == 1201
    assert result["ALONGN~1"] == b"ALONGN~1   "
    assert result["ALONGNAME0"] == b"ALONGN~2   "
    assert result["ALONGNAME1199"] == b"ALO~1201   "


@pytest.mark.fault("a name that no image of ours has in a FAT", "one error")
@pytest.mark.parametrize(
    "files",
    [
        *(["A" + c] for c in '\0\x1f\x7f"*:<>?\\|. +,;=[]a\n'),
        *([c] for c in (".", "..", " ", "", "A" * 65, "A.ABCD", "A.", ".A", "A.B.C", "\udcff")),
        ["/A"], ["A/"], ["A//B"], ["../A"],
    ],
)  # fmt: skip
def test_impossible_names(tmp_path: Path, files: list[str]) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BuildError) as caught:
        volume(dict.fromkeys(files, tmp_path / "file"))
    assert caught.value.where is not None


@pytest.mark.fault("links, devices and files too large for FAT", "one error")
def test_what_cannot_be_in_a_volume(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="No such file"):
        volume({"A": tmp_path / "absent"})
    large = tmp_path / "large"
    large.touch()
    os.truncate(large, 1 << 32)
    with pytest.raises(BuildError, match="too large"):
        volume({"A": large})
