"""Hostile and damaged archives fail; good ones unpack as with GNU tar."""

# ruff: noqa: PTH115 (a target has to be compared as it is, and `Path` would tidy it up)

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plan.compiling.toolchain import SOURCE_DATE_EPOCH
from plan.errors import BuildError
from rootfs.archives.unpack import unpack
from tests.rootfs.tars import WHEN, Entry, archive_of, directory, entry, link, tar_bytes
from tests.rootfs.tools import quick, tool

EVIL = b"changed"
HOSTILE: dict[str, tuple[list[Entry], str]] = {
    "absolute name": ([entry("/tmp/evil", data=EVIL)], "absolute"),
    "up": ([entry("../victim", data=EVIL)], '".."'),
    "up from below": ([directory("a"), entry("a/../../victim", data=EVIL)], '".."'),
    "up and back": ([entry("a/../b", data=EVIL)], '".."'),
    "newline": ([entry("a\nb", data=EVIL)], "newline"),
    "NUL": ([entry("a", data=EVIL, pax_headers={"path": "b\0/../../victim"})], "newline or a NUL"),
    "too long": ([entry("a/" * 3000 + "b", data=EVIL)], "too long"),
    "through a link to a directory": (
        [link("a", "../outside"), entry("a/victim", data=EVIL)],
        "is a file or link, not a directory",
    ),
    "through an absolute link": (
        [link("a", "/"), entry("a/tmp/evil", data=EVIL)],
        "is a file or link, not a directory",
    ),
    "a directory over a link": (
        [link("a", "../outside"), directory("a")],
        "is a file or link",
    ),
    "through two links": (
        [link("b", "a"), link("a", "../outside"), entry("b/victim", data=EVIL)],
        "is a file or link, not a directory",
    ),
    "below a file": ([entry("a"), entry("a/b", data=EVIL)], "is a file or link, not a directory"),
    "a file over a directory": ([directory("a"), entry("a", data=EVIL)], "made it a directory"),
    "a link over a directory": ([entry("a/b"), link("a", "../outside")], "made it a directory"),
    "hard link up": ([link("a", "../victim", tarfile.LNKTYPE)], '".."'),
    "absolute hard link": ([link("a", "/etc/passwd", tarfile.LNKTYPE)], "absolute"),
    "hard link through a link": (
        [link("s", "../outside"), link("a", "s/victim", tarfile.LNKTYPE)],
        "through a symbolic link",
    ),
    "hard link to nothing": ([link("a", "missing", tarfile.LNKTYPE)], "missing"),
    "hard link to itself": ([link("a", "a", tarfile.LNKTYPE)], "to nothing"),
    "hard link to a directory": ([directory("d"), link("a", "d", tarfile.LNKTYPE)], "not a file"),
    "link to nothing": ([link("a", "")], "link to nothing"),
    "character device": ([entry("a", tarfile.CHRTYPE, devmajor=1, devminor=3)], "device"),
    "block device": ([entry("a", tarfile.BLKTYPE, devmajor=8, devminor=0)], "device"),
    "fifo": ([entry("a", tarfile.FIFOTYPE)], "fifo"),
    "unknown kind": ([entry("a", b"Z")], "unknown kind 'Z'"),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name, marks=pytest.mark.fault(f"tar: {name}", "refused; nothing outside is touched")
        )
        for name in HOSTILE
    ],
)
def test_hostile_archives_are_refused_and_touch_nothing(name: str, tmp_path: Path) -> None:
    entries, reason = HOSTILE[name]
    outside = tmp_path / "outside"
    outside.mkdir()
    victims = [outside / "victim", tmp_path / "victim"]
    for victim in victims:
        victim.write_text("precious")
    before = sorted(tmp_path.rglob("*"))
    path = archive_of(tmp_path, *entries)
    with pytest.raises(BuildError) as caught:
        unpack(path, tmp_path / "into")
    assert reason in caught.value.message
    assert caught.value.where == str(path)
    assert caught.value.hint
    assert all(victim.read_text() == "precious" for victim in victims)
    ours = {tmp_path / "into", path}
    after = [p for p in tmp_path.rglob("*") if not ours & {p, *p.parents}]
    assert sorted(after) == before
    assert not Path("/tmp/evil").exists()


@pytest.mark.fault(
    "tar: its directory is a link that lies there already",
    "refused; nothing outside is touched",
)
def test_a_link_that_was_there_before_is_not_followed(tmp_path: Path) -> None:
    into, outside = tmp_path / "into", tmp_path / "outside"
    into.mkdir()
    outside.mkdir()
    (into / "a").symlink_to(outside)
    with pytest.raises(BuildError, match="is a file or link, not a directory"):
        unpack(archive_of(tmp_path, entry("a/b", data=EVIL)), into)
    assert not list(outside.iterdir())


@pytest.mark.fault(
    "tar: one name several times, as link and as file",
    "the last one wins; nothing is written through a link",
)
def test_the_last_of_several_members_wins_without_writing_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    into = tmp_path / "into"
    path = archive_of(
        tmp_path,
        link("a", "../victim"),
        entry("a", data=b"second"),
        entry("b", data=b"first"),
        link("c", "b", tarfile.LNKTYPE),
        entry("b", data=b"other"),
        entry("d", data=b"file"),
        link("d", "elsewhere"),
        link("c2", "b", tarfile.LNKTYPE),
        entry("c2", data=b"own"),
    )
    assert unpack(path, into) == 9
    assert victim.read_text() == "precious"
    assert not (into / "a").is_symlink()
    assert (into / "a").read_text() == "second"
    assert ((into / "b").read_text(), (into / "c").read_text()) == ("other", "first")
    assert (into / "c2").read_text() == "own"
    assert os.readlink(into / "d") == "elsewhere"


@pytest.mark.fault(
    "tar: symbolic links to absolute paths and up",
    "unpacked as links; never followed",
)
def test_links_may_point_anywhere_and_stay_links(tmp_path: Path) -> None:
    targets = {"abs": "/bin/busybox", "up": "../../../../etc/passwd", "odd": "no\nwhere"}
    unpack(archive_of(tmp_path, *(link(n, t) for n, t in targets.items())), tmp_path / "into")
    assert {n: os.readlink(tmp_path / "into" / n) for n in targets} == targets
    assert all(os.lstat(tmp_path / "into" / n).st_mtime == WHEN for n in targets)


@pytest.mark.fault(
    "tar: setuid files, unreadable files, negative times",
    "setuid dropped, readable, times clamped",
)
def test_modes_and_times(tmp_path: Path) -> None:
    into = tmp_path / "into"
    entries = [
        entry("su", mode=0o6755),
        entry("dark", mode=0),
        entry("deep/down/file", mtime=1.9),
        entry("deep/down/t", mtime=-5),
        entry("tmp", tarfile.DIRTYPE, mode=0o7777),
        entry("shut", tarfile.DIRTYPE, mode=0o555),
        entry("shut/in"),
    ]
    unpack(archive_of(tmp_path, *entries), into)

    def mode(name: str) -> int:
        return stat.S_IMODE(os.lstat(into / name).st_mode)

    assert [mode(n) for n in ("su", "dark", "tmp", "shut")] == [0o755, 0o400, 0o1777, 0o755]
    assert [os.lstat(into / n).st_mtime for n in ("deep/down/file", "deep/down/t")] == [1, 0]
    assert os.lstat(into / "shut").st_mtime == WHEN
    assert os.lstat(into / "deep/down").st_mtime == SOURCE_DATE_EPOCH
    unpack(archive_of(tmp_path, *entries), tmp_path / "kept", keep_setuid=True)
    assert stat.S_IMODE(os.lstat(tmp_path / "kept/su").st_mode) == 0o6755


def test_strip_and_leave(tmp_path: Path) -> None:
    names = ["top/a", "top/test/x", "top/lib/test/y", "top/lib/z.c", "top/lib/z.o", "top/tested"]
    path = archive_of(tmp_path, entry("pax"), *(entry(f"./{name}") for name in names))
    exclude = ["**/test", "*/*.o"]
    assert unpack(path, tmp_path / "into", strip=1, exclude=exclude) == 3
    found = {p.relative_to(tmp_path / "into").as_posix() for p in (tmp_path / "into").rglob("*")}
    assert found == {"a", "lib", "lib/z.c", "tested"}


@pytest.mark.fault("tar: devices in a root file system", "left packed")
def test_a_device_that_is_left_packed_does_no_harm(tmp_path: Path) -> None:
    path = archive_of(tmp_path, directory("dev"), entry("dev/null", tarfile.CHRTYPE))
    assert unpack(path, tmp_path / "into", exclude=["dev/*"]) == 1


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "tar": lambda data: data,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
}
BODY = os.urandom(300_000)


@pytest.mark.fault("tar, tar.gz, .bz2, .xz: cut off anywhere", "one error: fetch it again")
@pytest.mark.parametrize("kind", PACKERS)
def test_compressions_and_their_truncation(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{kind}"
    whole = PACKERS[kind](tar_bytes(entry("a/big", data=BODY), entry("a/b", data=b"x")))
    path.write_bytes(whole)
    unpack(path, tmp_path / "into")
    assert (tmp_path / "into/a/big").read_bytes() == BODY
    for cut in (0, 1, 600, len(whole) // 2, len(whole) - 11_000, len(whole) - 9):
        if kind == "tar" and cut == len(whole) - 9:
            continue  # within the zeros that fill up the last record
        path.write_bytes(whole[:cut])
        with pytest.raises(BuildError) as caught:
            unpack(path, tmp_path / f"cut{cut}")
        assert caught.value.where == str(path)
        assert "fetch it again" in str(caught.value.hint)


@pytest.mark.fault("tar.gz, .bz2, .xz: a flipped bit", "one error")
@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_concatenated_streams_and_flipped_bits(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    data = tar_bytes(entry("a", data=BODY))
    path.write_bytes(PACKERS[kind](data[:1000]) + PACKERS[kind](data[1000:]))
    unpack(path, tmp_path / "into")
    assert (tmp_path / "into/a").read_bytes() == BODY
    packed = bytearray(PACKERS[kind](data))
    packed[len(packed) // 2] ^= 4
    path.write_bytes(packed)
    with pytest.raises(BuildError, match="cannot be unpacked"):
        unpack(path, tmp_path / "flipped")


def damaged_header(field: slice, value: bytes) -> bytes:
    """An archive of one file whose header has `value` in a field, with a right checksum."""
    data = bytearray(tar_bytes(entry("a", data=b"x" * 600), form=tarfile.USTAR_FORMAT))
    data[field] = value
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    return bytes(data)


@pytest.mark.fault(
    "tar: no archive, wrong check sums, negative, huge or nonsense sizes, sparse files",
    "one error with the reason",
)
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "ends in the middle"),
        (b"<html>not found</html>" * 100, "no tar archive"),
        (b"b" + tar_bytes(entry("a"))[1:], "checksum is wrong"),
        (damaged_header(slice(124, 136), b"\xff" * 11 + b"\x00"), "negative"),
        (damaged_header(slice(124, 136), b"-0000000777\0"), "negative"),
        (damaged_header(slice(124, 136), b"88888888888\0"), "an invalid number"),
        (damaged_header(slice(124, 136), b"\x80" + b"\x7f" * 11), "larger than the limit"),
        (damaged_header(slice(156, 157), b"S"), "unknown kind"),
        (tar_bytes(entry("a", pax_headers={"GNU.sparse.major": "1"})), "sparse"),
        (tar_bytes(entry("a", pax_headers={"mtime": "nan"})), "an invalid number"),
        (tar_bytes(entry("a", pax_headers={"size": "-5"})), "negative"),
        (tar_bytes(entry("a", b"L", bytes((1 << 20) + 1))), "extended header of"),
        (b"\x28\xb5\x2f\xfd rubbish", "" if sys.version_info >= (3, 14) else "zstd"),
    ],
)
def test_damaged_archives(data: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(data)
    with pytest.raises(BuildError) as caught:
        unpack(path, tmp_path / "into")
    assert reason in caught.value.message
    assert caught.value.hint


@pytest.mark.fault("tar: malformed pax records", "one error")
@pytest.mark.parametrize("records", [b"x", b"999 a=b\n", b"7 a=bc\n\n", b"5 ab\n", b"0 \n"])
def test_malformed_pax_records(records: bytes, tmp_path: Path) -> None:
    path = archive_of(tmp_path, entry("h", b"x", records), entry("a"))
    with pytest.raises(BuildError, match="pax header is malformed"):
        unpack(path, tmp_path / "into")


@pytest.mark.fault("tar: a missing archive; more than the limit", "one error")
def test_a_missing_archive_and_a_full_limit(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="No such file"):
        unpack(tmp_path / "missing.tar", tmp_path / "into")
    path = archive_of(tmp_path, entry("a", data=b"x" * 100))
    size = path.stat().st_size
    with pytest.raises(BuildError, match="unpacks to more than the limit"):
        unpack(path, tmp_path / "into", limit=size - 1)
    assert unpack(path, tmp_path / "into", limit=size) == 1


@pytest.mark.fault("tar: long names, names and links over 100 bytes, not ASCII", "unpacked")
@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_formats(form: int, tmp_path: Path) -> None:
    deep = "d" * 90 + "/" + "e" * 90
    entries = [entry(deep, data=b"1"), entry("plain", data=b"2")]
    if form != tarfile.USTAR_FORMAT:
        entries += [entry("n" * 200 + "/ü", data=b"3"), link("l", "t" * 300)]
    path = tmp_path / "a.tar"
    path.write_bytes(tar_bytes(*entries, form=form))
    assert unpack(path, tmp_path / "into") == len(entries)
    assert (tmp_path / "into" / deep).read_bytes() == b"1"
    if form != tarfile.USTAR_FORMAT:
        assert (tmp_path / "into" / ("n" * 200) / "ü").read_bytes() == b"3"
        assert os.readlink(tmp_path / "into/l") == "t" * 300


NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/\0\n", exclude_categories=["Cs"]), min_size=1
).filter(lambda name: name not in (".", "..") and len(name.encode()) <= 120)
TREES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.tuples(
            st.just("file"), st.binary(max_size=2000), st.sampled_from([0o644, 0o755, 0o600])
        ),
        st.tuples(st.just("link"), st.text("ab./", min_size=1, max_size=200)),
    ),
    lambda inner: st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


def make(path: Path, tree: Any) -> None:
    if isinstance(tree, dict):
        path.mkdir()
        for name, inner in tree.items():
            make(path / name, inner)
    elif tree[0] == "file":
        path.write_bytes(tree[1])
        path.chmod(tree[2])
    else:
        path.symlink_to(tree[1])
    os.utime(path, (WHEN, WHEN), follow_symlinks=False)


def listing(top: Path) -> dict[str, tuple[Any, ...]]:
    found = {}
    for path in sorted(top.rglob("*")):
        status = path.lstat()
        body: bytes | str = ""
        if path.is_symlink():
            body = os.readlink(path)
        elif path.is_file():
            body = path.read_bytes()
        found[str(path.relative_to(top))] = (status.st_mode, int(status.st_mtime), body)
    return found


@pytest.mark.fault("any tree packed by GNU tar", "comes out the same")
@quick
@given(tree=st.dictionaries(NAMES, TREES, max_size=5), form=st.sampled_from(["gnu", "pax"]))
def test_what_gnu_tar_packs_comes_out_the_same(
    tmp_path_factory: pytest.TempPathFactory, tree: Any, form: str
) -> None:
    base = tmp_path_factory.mktemp("trip")
    make(base / "in", tree)
    tool("tar", "-C", base / "in", f"--format={form}", "-cf", base / "a.tar", ".")
    unpack(base / "a.tar", base / "out")
    assert listing(base / "out") == listing(base / "in")


def test_a_real_alpine_release(tmp_path: Path) -> None:
    given = os.environ.get("BQ2_TEST_ALPINE")
    if not given:
        pytest.skip("BQ2_TEST_ALPINE names no Alpine minirootfs")
    assert unpack(Path(given), tmp_path / "into", exclude=["dev/*"]) > 400
    assert os.readlink(tmp_path / "into/bin/sh") == "/bin/busybox"
