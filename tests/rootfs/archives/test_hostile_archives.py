"""Hostile archives: the attacks on Python's tarfile, decompression bombs, any byte changed."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import resource
import struct
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plan.errors import BuildError
from rootfs.archives.deb import unpack_deb
from rootfs.archives.unpack import unpack
from tests.rootfs.debs import ar_of
from tests.rootfs.tars import WHEN, Entry, directory, entry, link, tar_bytes
from tests.rootfs.tools import quick, snapshot, tool

HARDLINK = tarfile.LNKTYPE
fault = pytest.mark.fault


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A directory with a file; after the test both are as they were, down to modes and times."""
    place = tmp_path / "outside"
    place.mkdir()
    (place / "victim").write_text("precious")
    (place / "victim").chmod(0o640)
    for path in (place / "victim", place):
        os.utime(path, (WHEN, WHEN))
    before = _state(place)
    yield place
    assert _state(place) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "into", "outside"]


def _state(place: Path) -> list[tuple[str, int, float, int]]:
    return [
        (path.name, status.st_mode, status.st_mtime, status.st_nlink)
        for path in (place, *sorted(place.iterdir()))
        for status in [path.lstat()]
    ]


def realpath_overflow() -> list[Entry]:
    """Links so deep that `realpath` gives up before it sees where they lead."""
    long, path = "d" * 247, ""
    entries: list[Entry] = []
    for step in "abcdefghijklmnop":
        entries += [directory(path + long), link(path + step, long)]
        path += long + "/"
    inner = "/".join("abcdefghijklmnop") + "/" + "l" * 254
    return [
        *entries,
        link(inner, "../" * 16),
        link("escape", inner + "/../outside"),
        link("flag", "escape/victim", HARDLINK),
        entry("flag", data=b"changed"),
    ]


CVES: dict[str, list[Entry]] = {
    "CVE-2024-12718, modes and times outside": [
        link("a", "../outside"),
        entry("a/.", tarfile.DIRTYPE, mode=0o777, mtime=1),
    ],
    "CVE-2025-4138, links past what realpath resolves": realpath_overflow(),
    "CVE-2025-4330, a link by way of another link": [
        directory("d"),
        link("d/up", ".."),
        link("escape", "d/up/../outside"),
        entry("escape/victim", data=b"changed"),
    ],
    "CVE-2025-4435, a refused member and more after it": [
        entry("../outside/victim", data=b"changed"),
        entry("after", data=b"x"),
    ],
    "CVE-2025-4517, written through a hard link to a link": [
        directory("d"),
        link("d/l", "../../outside/victim"),
        link("hard", "d/l", HARDLINK),
        link("hard2", "hard/../../outside/victim", HARDLINK),
        entry("hard", data=b"changed"),
    ],
}


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param(entries, marks=fault(f"tar: {name}", "refused; nothing outside is touched"))
        for name, entries in CVES.items()
    ],
)
def test_the_attacks_on_tarfile(outside: Path, tmp_path: Path, entries: list[Entry]) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(tar_bytes(*entries))
    with pytest.raises(BuildError, match="refused to unpack"):
        unpack(path, tmp_path / "into")
    assert not (tmp_path / "into/after").exists()


@fault("tar: CVE-2025-8194, a negative size that leads back to the same header", "one error")
@pytest.mark.parametrize("kind", [b"0", b"x", b"L", b"g"])
def test_a_size_that_leads_back(tmp_path: Path, kind: bytes) -> None:
    header = bytearray(tar_bytes(entry("a", kind))[:512])
    header[124:136] = (-512).to_bytes(12, "big", signed=True)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    path = tmp_path / "a.tar"
    path.write_bytes(bytes(header) + bytes(1024))
    with pytest.raises(BuildError, match="negative"):
        unpack(path, tmp_path / "into")


@fault("tar: a hard link to a link, then a file of that name", "the file; the link's target stays")
def test_a_hard_link_to_a_link_is_replaced(outside: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    ends = link("hard", "l", HARDLINK), entry("hard", data=b"own")
    path.write_bytes(tar_bytes(link("l", "../outside/victim"), *ends))
    unpack(path, tmp_path / "into")
    assert (tmp_path / "into/hard").read_bytes() == b"own"


def packed_tree(directory_: Path, *flags: str) -> bytes:
    """What GNU tar makes of a small tree."""
    (directory_ / "in/sub").mkdir(parents=True)
    for name, data in (("a", b"1" * 700), ("sub/b", b""), ("sub/c" + "n" * 120, b"2" * 10)):
        (directory_ / "in" / name).write_bytes(data)
    (directory_ / "in/link").symlink_to("sub/b")
    tool("tar", "-C", directory_ / "in", *flags, "-cf", directory_ / "whole.tar", ".")
    return (directory_ / "whole.tar").read_bytes()


@fault("tar: cut off at any block", "one error; never a tree that lacks something")
def test_cut_at_every_block(tmp_path: Path) -> None:
    whole = packed_tree(tmp_path)
    end = len(whole.rstrip(b"\0")) // 512 + 1  # in blocks: what comes then is the end mark
    path = tmp_path / "a.tar"
    for blocks in range(len(whole) // 512):
        path.write_bytes(whole[: blocks * 512])
        if blocks > end:
            unpack(path, tmp_path / f"into{blocks}")
            assert snapshot(tmp_path / f"into{blocks}") == snapshot(tmp_path / "in")
        else:
            with pytest.raises(BuildError, match="ends in the middle"):
                unpack(path, tmp_path / f"into{blocks}")


@fault("tar: a block of zeros in the middle, as a bad disk leaves it", "one error")
def test_a_lost_block_is_no_end(tmp_path: Path) -> None:
    whole = packed_tree(tmp_path)
    path = tmp_path / "a.tar"
    for block in range(len(whole.rstrip(b"\0")) // 512):
        path.write_bytes(whole[: block * 512] + bytes(512) + whole[(block + 1) * 512 :])
        try:
            unpack(path, tmp_path / f"into{block}")
        except BuildError:
            continue
        # The data of a file carries no check sum in a tar: the hash of the source sees that.
        assert snapshot(tmp_path / f"into{block}").keys() == snapshot(tmp_path / "in").keys()


@fault("tar: garbage after its end", "the tree of what stands before it")
def test_garbage_after_the_end(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(packed_tree(tmp_path) + os.urandom(3000))
    unpack(path, tmp_path / "into")
    assert snapshot(tmp_path / "into") == snapshot(tmp_path / "in")


@fault("tar: sparse files, as GNU tar packs them in any of its formats", "one error")
@pytest.mark.parametrize("form", ["gnu", "0.0", "0.1", "1.0"])
def test_sparse_files(tmp_path: Path, form: str) -> None:
    with (tmp_path / "holes").open("wb") as file:
        file.truncate(1 << 40)
    flags = ["--format=gnu"] if form == "gnu" else ["--format=pax", f"--sparse-version={form}"]
    tool("tar", "-C", tmp_path, "--sparse", *flags, "-cf", tmp_path / "a.tar", "holes")
    assert (tmp_path / "a.tar").stat().st_size < 100_000
    with pytest.raises(BuildError, match=r"sparse|unknown kind 'S'"):
        unpack(tmp_path / "a.tar", tmp_path / "into")
    assert not any((tmp_path / "into").iterdir())


BOMB = 100 << 20  # bytes, unpacked
PACKERS: dict[str, Callable[[], tuple[Callable[[bytes], bytes], Callable[[], bytes]]]] = {
    "gz": lambda: (lambda c: (c.compress, c.flush))(zlib.compressobj(1, wbits=31)),
    "bz2": lambda: (lambda c: (c.compress, c.flush))(bz2.BZ2Compressor(1)),
    "xz": lambda: (lambda c: (c.compress, c.flush))(lzma.LZMACompressor(preset=0)),
}


@fault(
    "tar.gz, .bz2, .xz: a bomb, in a file, in what is left packed, after the end, in headers",
    "one error when the limit is reached, in little memory",
)
@pytest.mark.parametrize("kind", PACKERS)
@pytest.mark.parametrize("where", ["file", "left", "after"])
def test_bombs(tmp_path: Path, kind: str, where: str) -> None:
    compress, flush = PACKERS[kind]()
    start = tar_bytes(entry("small", data=b"x"))
    if where != "after":
        start = tar_bytes(entry("left/big", size=0))[:512]
        start = _with_size(start, BOMB)
    path = tmp_path / "a.tar"
    with path.open("wb") as file:
        file.write(compress(start))
        for _ in range(BOMB >> 20):
            file.write(compress(bytes(1 << 20)))
        file.write(flush())
    assert path.stat().st_size < BOMB // 100
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    exclude = ["left"] if where == "left" else []
    with pytest.raises(BuildError, match=r"(larger|more) than the limit"):
        unpack(path, tmp_path / "into", exclude=exclude, limit=BOMB // 4)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10  # KiB


def _with_size(header: bytes, size: int) -> bytes:
    changed = bytearray(header)
    changed[124:136] = b"%011o\0" % size
    changed[148:156] = b" " * 8
    changed[148:156] = b"%06o\0 " % sum(changed)
    return bytes(changed)


@fault("tar: thousands of global headers of 1 MiB each", "forgotten at once; memory stays small")
def test_global_headers_are_not_gathered(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for number in range(150):
            value = b"x" * 1_000_000
            record = b"%d k%03d=%s\n" % (len(value) + 14, number, value)
            assert len(record) == len(value) + 14
            file.write(tar_bytes(entry("g", b"g", record))[: 512 + -(-len(record) // 512) * 512])
        file.write(tar_bytes(entry("a", data=b"x")))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert unpack(path, tmp_path / "into") == 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10


@fault("tar.xz: a header that demands a dictionary of 4 GiB", "one error, no memory taken")
def test_a_huge_dictionary(tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 16}]
    data = bytearray(lzma.compress(tar_bytes(entry("a")), filters=filters))
    # .xz file format 3.1: the block header; its filter's property is the size of the dictionary.
    size = (data[12] + 1) * 4
    at = data.index(b"\x21\x01", 12, 12 + size) + 2
    data[at] = 40
    data[12 + size - 4 : 12 + size] = struct.pack("<I", zlib.crc32(data[12 : 12 + size - 4]))
    path = tmp_path / "a.tar"
    path.write_bytes(data)
    with pytest.raises(BuildError, match=r"[Mm]emory"):
        unpack(path, tmp_path / "into")


@fault("tar: a file of more than 4 GiB that is not there", "one error; no space is taken")
def test_a_member_larger_than_the_archive(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with path.open("wb") as file:
        file.write(_with_size(tar_bytes(entry("big"))[:512], 5 << 30))
        file.truncate(1 << 20)
    with pytest.raises(BuildError, match="ends in the middle"):
        unpack(path, tmp_path / "into")
    assert (tmp_path / "into/big").stat().st_size < 1 << 20


@fault("tar: 20,000 files in one directory", "unpacked, in seconds")
def test_many_entries(tmp_path: Path) -> None:
    header = bytearray(tar_bytes(entry("d/000000"))[:512])
    total = sum(header) - sum(header[148:156]) + 8 * ord(" ")
    zeros = sum(b"000000")
    with (tmp_path / "a.tar").open("wb") as file:
        for number in range(20_000):
            header[2:8] = name = b"%06d" % number
            header[148:156] = b"%06o\0 " % (total - zeros + sum(name))
            file.write(header)
        file.write(bytes(1024))
    assert unpack(tmp_path / "a.tar", tmp_path / "into") == 20_000
    assert sum(1 for _ in (tmp_path / "into/d").iterdir()) == 20_000


@fault("tar: names that are not UTF-8, with control and escape characters", "unpacked as they are")
def test_odd_names(tmp_path: Path) -> None:
    names = [b"\xff\xfe", b"esc\x1b]0;x\x07", b"tab\t", b"*?[", b" ", b"-rf", b"\xe2\x80\xae"]
    for name in names:
        (tmp_path / "in").mkdir(exist_ok=True)
        Path(os.fsdecode(os.fsencode(tmp_path / "in") + b"/" + name)).touch()
    tool("tar", "-C", tmp_path / "in", "-cf", tmp_path / "a.tar", ".")
    unpack(tmp_path / "a.tar", tmp_path / "into")
    assert {os.fsencode(path.name) for path in (tmp_path / "into").iterdir()} == set(names)


@fault("tar: an escape sequence in the name of what is refused", "the message shows it, inert")
def test_a_message_holds_no_control_character(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(tar_bytes(entry("../\x1b]0;x\x07\udcff", data=b"x")))
    with pytest.raises(BuildError) as caught:
        unpack(tmp_path / "a.tar", tmp_path / "into")
    assert str(caught.value).replace("\n", "").isprintable()


@fault("tar: directories nested by the thousand", "one error; memory stays small")
def test_a_very_deep_name(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(tar_bytes(entry("a/" * 1000 + "b")))
    with pytest.raises(BuildError, match="too many directories"):
        unpack(tmp_path / "a.tar", tmp_path / "into")


@fault("tar: names of 256 bytes, links of 5,000", "one error")
@pytest.mark.parametrize("bad", [entry("n" * 256), link("a", "t" * 5000)], ids=["name", "link"])
def test_what_the_file_system_does_not_take(tmp_path: Path, bad: Entry) -> None:
    (tmp_path / "a.tar").write_bytes(tar_bytes(bad))
    with pytest.raises(BuildError, match="File name too long"):
        unpack(tmp_path / "a.tar", tmp_path / "into")


CHANGES = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=3
)


@fault(
    "tar, tar.gz, .bz2, .xz, .deb: any bytes changed",
    "one error, or a tree; the same tree where the compressor has a check sum; nothing outside",
)
@quick
@given(changes=CHANGES, kind=st.sampled_from(["tar", "gz", "bz2", "xz", "deb"]))
def test_any_byte_changed(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[float, int]], kind: str
) -> None:
    base = tmp_path_factory.mktemp("changed")
    tar = packed_tree(base)
    packers = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
    data = bytearray(packers[kind](tar) if kind in packers else tar)
    if kind == "deb":
        data = bytearray(ar_of({"debian-binary": b"2.0\n", "data.tar": tar}))
    for place, flip in changes:
        data[int(place * len(data))] ^= flip
    (base / "a").write_bytes(data)
    try:
        (unpack_deb if kind == "deb" else unpack)(base / "a", base / "into")
    except BuildError as error:
        assert str(base / "a") in str(error)
    else:
        if kind in packers:
            assert snapshot(base / "into") == snapshot(base / "in")
    assert {path.name for path in base.iterdir()} <= {"a", "in", "into", "whole.tar"}


@fault("tar: unpacked by an ordinary user, with owners that this one cannot give", "its own files")
def test_owners_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(tar_bytes(entry("a", uid=12345, gid=12345, data=b"x")))
    unpack(tmp_path / "a.tar", tmp_path / "into")
    status = (tmp_path / "into/a").stat()
    assert (status.st_uid, status.st_gid) == (os.geteuid(), os.getegid())
