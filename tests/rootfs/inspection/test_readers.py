"""The readers of QCOW2, GPT, FAT and ext4: files of real tools, and invalid files."""

from __future__ import annotations

import io
import random
import shutil
import stat
import struct
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plan.errors import BuildError
from rootfs.archives.cpio import write_cpio
from rootfs.archives.licenses import license_texts
from rootfs.image import fat, gpt, qcow2
from rootfs.image.disk import MIB, Disk, Extent
from rootfs.inspection import gpt_reader
from rootfs.inspection.crc32c import crc32c
from rootfs.inspection.ext4_reader import Ext4
from rootfs.inspection.fat_reader import Fat
from rootfs.inspection.inspection import Inspection
from rootfs.inspection.kernel_reader import initramfs
from rootfs.inspection.qcow2_reader import Qcow2
from rootfs.inspection.root_proof import Root
from rootfs.inspection.window import FileView, check_inside
from tests.rootfs.tools import make_tree, quick, tool

NOISE = random.Random(2).randbytes(1 << 20)


def test_the_checksum_is_that_of_the_rfc() -> None:
    """RFC 3720, B.4: 32 bytes of zeros; its last inversion is not ours."""
    assert crc32c(bytes(32)) ^ 0xFFFFFFFF == 0x8A9136AA


class BytesView:
    """Bytes as a view that may be read a thousand times."""

    name = "fs"

    def __init__(self, content: bytes) -> None:
        self._content, self.size, self._reads = content, len(content), 0

    def read(self, offset: int, length: int) -> bytes:
        """As `View.read`."""
        check_inside(self, offset, length)
        self._reads += 1
        assert self._reads <= 1000, "it reads on and on"
        return self._content[offset : offset + length]


# --- QCOW2 -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-o", "cluster_size=512"),
        ("-o", "cluster_size=2M"),
        ("-o", "compat=0.10"),
        ("-c", "-o", "cluster_size=4096"),
        ("-c",),
    ],
    ids=" ".join,
)
def test_what_qemu_writes(tmp_path: Path, options: tuple[str, ...]) -> None:
    content = NOISE[:300000] + bytes(500000) + b"text " * 60000
    content = content.ljust(-(-len(content) // 512) * 512, b"\0")
    (tmp_path / "raw").write_bytes(content)
    tool("qemu-img", "convert", *options, "-O", "qcow2", tmp_path / "raw", tmp_path / "image")
    with (tmp_path / "image").open("rb") as file:
        disk = Qcow2(FileView(file, "image"))
        disk.check()
        assert disk.size == len(content) and disk.read(0, disk.size) == content
        assert disk.read(299990, 20) == content[299990:300010]
        with pytest.raises(BuildError, match="refers to byte"):
            disk.read(disk.size - 1, 2)


@pytest.mark.fault("an image has a backing file, a snapshot or zstd", "`doit inspect` refuses it")
def test_what_no_image_of_ours_has(tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(NOISE)
    for words in (("-b", "raw", "-F", "raw"), ("-o", "compression_type=zstd", "1M")):
        tool("qemu-img", "create", "-f", "qcow2", *words[:2], "image", *words[2:][::-1]
             if words[0] == "-o" else words[2:], cwd=tmp_path)  # fmt: skip
        with (tmp_path / "image").open("rb") as file, pytest.raises(BuildError, match="supported"):
            Qcow2(FileView(file, "image"))
    tool("qemu-img", "convert", "-O", "qcow2", tmp_path / "raw", tmp_path / "image")
    tool("qemu-img", "snapshot", "-c", "one", tmp_path / "image")
    with (tmp_path / "image").open("rb") as file, pytest.raises(BuildError, match="nb_snapshots"):
        Qcow2(FileView(file, "image"))


@pytest.mark.fault(
    "a small QCOW2 file names one table a million times", "one error, at once, not after hours"
)
def test_a_table_that_is_named_again_and_again() -> None:
    bits, entries = 9, 1000
    header = qcow2.HEADER.pack(
        magic=b"QFI\xfb",
        version=3,
        cluster_bits=bits,
        size=entries << bits + 6,
        l1_size=entries,
        l1_table_offset=1024,
        refcount_order=4,
        header_length=qcow2.HEADER.size,
    )
    l1 = struct.pack(">Q", 512 | qcow2.COPIED) * entries
    disk = Qcow2(BytesView(header.ljust(1024, b"\0") + l1.ljust(8192, b"\0")))
    with pytest.raises(BuildError, match="the table at 512 is used twice"):
        disk.check()


# --- FAT ---------------------------------------------------------------------------------------


def test_what_mtools_writes(tmp_path: Path) -> None:
    volume, files = (
        tmp_path / "volume",
        {"A.TXT": NOISE[:5000], "a long name.text": b"x", "D/E": b""},
    )
    tool("mformat", "-C", "-F", "-T", str(70000), "-h", "64", "-s", "32", "-i", volume, "::")
    tool("mmd", "-i", volume, "::/D")
    for path, content in files.items():
        (tmp_path / "file").write_bytes(content)
        tool("mcopy", "-i", volume, tmp_path / "file", f"::/{path}")
    with volume.open("rb") as file:
        found = {path: b"".join(all_) for path, all_ in Fat(FileView(file, "v")).files().items()}
    assert found == files


@pytest.mark.fault(
    "a FAT volume has two files of one name: firmware starts the first",
    "`doit inspect` refuses it: which of them was checked would not be known",
)
@pytest.mark.parametrize("names", [("EFI/A.TXT", "EFI/B.TXT"), ("A/X.TXT", "B/X.TXT")])
def test_two_files_of_one_name(tmp_path: Path, names: tuple[str, str]) -> None:
    files = {name: make_tree(tmp_path, {name: b"x"}) / name for name in names}
    with (tmp_path / "volume").open("wb") as out:
        fat.volume(files, label="ESP", volume_id=1, timestamp=10**9).write(out)
    content = (tmp_path / "volume").read_bytes()
    assert [*Fat(BytesView(content)).files()] == [*names]
    twice = content.replace(b"B".ljust(8), b"A".ljust(8))  # the short name, without its extension
    with pytest.raises(BuildError, match=rf"two of its files have the name {names[0]}"):
        Fat(BytesView(twice)).files()


@pytest.mark.fault("a small file says that its FAT has 512 MiB", "refused, without that memory")
def test_a_table_that_is_too_large(tmp_path: Path) -> None:
    with (tmp_path / "volume").open("w+b") as out:
        fat.volume({}, label="ESP", volume_id=1, timestamp=10**9).write(out)
        for sector in (0, 6):  # and its backup
            out.seek(sector * 512 + 36)
            out.write(struct.pack("<I", 1 << 20))
        out.truncate(3 << 30)
    with (
        (tmp_path / "volume").open("rb") as file,
        pytest.raises(BuildError, match="its table has an impossible size"),
    ):
        Fat(FileView(file, "volume"))


# --- ext4 --------------------------------------------------------------------------------------


def made_ext4(directory: Path, tree: Path, *options: str) -> Path:
    image = directory / "ext4"
    image.unlink(missing_ok=True)
    tool("mke2fs", "-q", "-t", "ext4", *options, "-d", tree, image, "48M")
    return image


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-b", "1024"),
        ("-O", "^metadata_csum"),
        ("-O", "^64bit"),
        ("-O", "metadata_csum_seed", "-b", "4096", "-I", "256"),
        ("-I", "128"),
    ],
    ids=" ".join,
)
def test_what_mke2fs_writes(tmp_path: Path, options: tuple[str, ...]) -> None:
    many = {f"many/{n:04}": b"%d" % n for n in range(500)}
    top = make_tree(tmp_path / "tree", {"a": NOISE, "d/e/f": b"f", "empty": b"", **many})
    with (top / "sparse").open("wb") as file:
        for n in range(40):  # more extents than an inode has room for
            file.seek(n * 20480)
            file.write(NOISE[n : n + 700])
    (top / "hard").hardlink_to(top / "a")
    (top / "short").symlink_to("d/e")
    (top / "long").symlink_to("x/" * 99 + "x")
    (top / "d").chmod(0o700)
    with made_ext4(tmp_path, top, *options).open("rb") as file:
        fs = Ext4(FileView(file, "fs"))
        fs.check()
        found = dict(fs.walk())
        for path in top.rglob("*"):
            status, inode = path.lstat(), found.pop(str(path.relative_to(top)).encode())
            assert (inode.mode, inode.owner) == (status.st_mode, (status.st_uid, status.st_gid))
            assert stat.S_ISDIR(inode.mode) or inode.links == status.st_nlink
            if path.is_symlink():
                assert fs.target(inode).decode() == str(path.readlink())
            elif path.is_file():
                assert b"".join(fs.pieces(inode)) == path.read_bytes(), path
        assert [*found] == [b"lost+found"]


# --- nothing of it may end in anything but a BuildError ----------------------------------------


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A whole image, as ours are, with an ext4 of a megabyte."""
    directory = tmp_path_factory.mktemp("small")
    kernel = make_tree(directory, {"k": b"no kernel"}) / "k"
    tree = make_tree(directory / "tree", {"etc/bq2/image.json": b'{"packages": []}', "a/b": b"c"})
    volume = fat.volume({"EFI/BOOT/BOOTX64.EFI": kernel}, label="ESP", volume_id=1, timestamp=10**9)
    root = Disk.of_file(made_ext4(directory, tree, "-O", "^has_journal"))
    parts = [gpt.Partition(volume, gpt.EFI_SYSTEM, "ESP")]
    parts.append(gpt.Partition(root, gpt.LINUX_FILESYSTEM, "root"))
    with (directory / "image").open("wb") as file:
        qcow2.write(gpt.disk(parts, identity="small"), file, level=0)
    return (directory / "image").read_bytes()


@pytest.mark.fault(
    "any bytes of an image are anything", "`doit inspect` tells a difference and never crashes"
)
@quick
@given(data=st.data())
def test_any_bytes_anywhere(small: bytes, data: st.DataObject) -> None:
    content = bytearray(small)
    # Where something is: most of the file.
    places = st.integers(0, len(small) - 9)
    for at in data.draw(st.lists(places, min_size=1, max_size=300)):
        new = data.draw(st.sampled_from([b"\xff" * 8, bytes(8), b"\x01\0", b"\x80"]))
        content[at : at + len(new)] = new
    if data.draw(st.booleans()):
        del content[data.draw(places) :]
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        found = [*Inspection(file.file, "image", b"{}").checks()]
    assert any(not check.good for check in found)


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A file system without checksums, in which anything can be changed unnoticed by them."""
    directory = tmp_path_factory.mktemp("bare")
    top = make_tree(directory / "tree", {f"d{n}/{n:060}": b"x" * n * 99 for n in range(40)})
    (top / "link").symlink_to("y" * 90)
    image = directory / "image"
    options = ("-O", "^metadata_csum,^has_journal,^resize_inode", "-b", "1024", "-N", "128")
    tool("mke2fs", "-q", "-t", "ext4", *options, "-d", top, image, "1M")
    return image.read_bytes()


@quick
@given(data=st.data())
def test_any_bytes_of_a_file_system(bare: bytes, data: st.DataObject) -> None:
    """Where no checksum stops it: the numbers themselves must be looked at."""
    content = bytearray(bare)
    used = [at for at in range(1024, len(bare) - 8, 64) if any(bare[at : at + 64])]
    for at in data.draw(st.lists(st.sampled_from(used), min_size=1, max_size=12)):
        at += data.draw(st.integers(0, 63))
        new = data.draw(st.sampled_from([b"\xff", b"\0", b"\xff" * 4, b"\x01", b"\x80", b"\0" * 4]))
        content[at : at + len(new)] = new
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        try:
            fs = Ext4(FileView(file.file, "fs"))
            fs.check()
            for _, inode in fs.walk():
                for _ in fs.pieces(inode):
                    pass
                fs.target(inode)
        except BuildError:
            pass


@pytest.mark.fault(
    "a superblock says that a group has more blocks or inodes than its bitmap", "one error, at once"
)
@pytest.mark.parametrize("at", [32, 40])
def test_a_group_without_a_bitmap_for_it(bare: bytes, at: int) -> None:
    content = bytearray(bare)
    struct.pack_into("<I", content, 1024 + at, 8193)
    with pytest.raises(BuildError, match="impossible sizes"):
        Ext4(BytesView(bytes(content)))


@pytest.mark.fault("an entry of a directory ends four bytes before its block", "one error says so")
def test_a_directory_whose_last_entry_has_no_room(bare: bytes) -> None:
    content = bytearray(bare)
    at = bare.index(b"0" * 58 + b"17") - 8
    (length,) = struct.unpack_from("<H", bare, at + 4)
    assert (at + length) % 1024 == 0
    struct.pack_into("<H", content, at + 4, length - 4)
    fs = Ext4(BytesView(bytes(content)))
    with pytest.raises(BuildError, match=r"the directory \d+ is damaged"):
        dict(fs.walk())


@pytest.mark.fault(
    "a directory of ext4 has two files of one name: the kernel finds the first",
    "`doit inspect` refuses it",
)
def test_a_name_twice_in_a_directory(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree", {"first": b"1", "other": b"2"})
    content = made_ext4(tmp_path, tree, "-O", "^metadata_csum").read_bytes()
    with pytest.raises(BuildError, match="the directory 2 has a name twice"):
        dict(Ext4(BytesView(content.replace(b"\5\1other", b"\5\1first"))).walk())


@pytest.mark.fault(
    "one bit of a superblock says that nothing has a checksum",
    "`doit inspect` tells the difference",
)
def test_a_root_without_checksums(tmp_path: Path) -> None:
    content = bytearray(made_ext4(tmp_path, make_tree(tmp_path / "tree", {})).read_bytes())
    content[1024 + 0x65] ^= 4  # METADATA_CSUM in s_feature_ro_compat
    with pytest.raises(BuildError, match="its metadata has no checksums"):
        Root(BytesView(bytes(content))).sound()


@pytest.mark.fault(
    "a file of an image has an attribute (a capability, an ACL) in its inode or in a block; / has "
    "another owner, mode or attributes",
    "`doit inspect` tells the difference",
)
@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("ea_set /tool security.capability xyz", "/tool: is not owned by 0:0, or has attributes"),
        (f"ea_set /tool user.long {'x' * 200}", "/tool: is not owned by 0:0, or has attributes"),
        ("ea_set / user.x xyz", "/: is not owned by 0:0, or has attributes"),
        ("sif / uid 1000", "/: is not owned by 0:0"),
        ("sif / mode 040777", "/: has the mode 777, not 755"),
    ],
)
def test_what_an_artifact_does_not_store(tmp_path: Path, command: str, said: str) -> None:
    tree = make_tree(tmp_path / "tree", {"tool": b"x"})
    tree.chmod(0o755)
    image = made_ext4(tmp_path, tree, "-E", "root_owner=0:0,no_copy_xattrs", "-I", "256")
    tool("debugfs", "-w", "-R", "sif /tool uid 0", image)
    tool("debugfs", "-w", "-R", "sif /tool gid 0", image)
    tool("debugfs", "-w", "-R", "rmdir /lost+found", image)
    assert "all owned by 0:0" in Root(BytesView(image.read_bytes())).sound()
    tool("debugfs", "-w", "-R", command, image)
    with pytest.raises(BuildError) as caught:
        Root(BytesView(image.read_bytes())).sound()
    assert said in str(caught.value)


def node(depth: int, entry: bytes, count: int) -> bytes:
    """A node of an extent tree, with the same entry again and again."""
    return struct.pack("<HHHHI", 0xF30A, count, count, depth, 0) + entry * count


@pytest.mark.fault(
    "an extent tree names the same nodes again and again", "one error, at once, not after days"
)
@pytest.mark.parametrize(
    "leaf",
    [b"", bytes(12), struct.pack("<IHHI", 99, 1, 0, 9)],
    ids=["empty", "without blocks", "behind the end"],
)
def test_an_extent_tree_without_an_end(bare: bytes, leaf: bytes) -> None:
    content = bytearray(bare)
    places = [at for at in range(0, len(bare), 1024) if bare[at : at + 1024] == b"x" * 1024][:5]
    below = node(0, leaf, 84 if leaf else 0)
    for depth, at in enumerate(places):
        content[at : at + len(below)] = below
        below = node(depth + 1, struct.pack("<IIHH", 0, at // 1024, 0, 0), 84 if depth < 4 else 4)
    fs = Ext4(BytesView(bytes(content)))
    inode = next(each for _, each in fs.walk() if stat.S_ISREG(each.mode) and each.size)
    with pytest.raises(BuildError, match="the extents of the inode"):
        list(fs.pieces(replace(inode, block=below)))


SHAPES = [
    *(b"[]", b"{", b'{"packages": 1}', b'{"packages": [{"name": {}}]}'),
    b'{"packages": [{"name": "\\ud800", "artifact": 1}]}',
]


@pytest.mark.parametrize("text", SHAPES)
def test_documents_of_another_shape(tmp_path: Path, text: bytes) -> None:
    names = ("image.json", "provenance.json", "sbom.cdx.json")
    tree = make_tree(tmp_path / "tree", {f"etc/bq2/{name}": text for name in names})
    with made_ext4(tmp_path, tree).open("rb") as file:
        root = Disk.of_file(Path(file.name))
        parts = [gpt.Partition(Disk(33 * MIB, (Extent(0, 1, b"x"),)), gpt.EFI_SYSTEM, "ESP")]
        parts.append(gpt.Partition(root, gpt.LINUX_FILESYSTEM, "root"))
        with (tmp_path / "image").open("wb") as out:
            qcow2.write(gpt.disk(parts, identity="x"), out)
    with (tmp_path / "image").open("rb") as file:
        found = {check.what: check for check in Inspection(file, "image", text).checks()}
    assert found["ext4"].good and not found["provenance"].good, found
    assert not found["provenance beside it"].good


def test_partitions_are_those_of_sgdisk(tmp_path: Path) -> None:
    parts = [gpt.Partition(Disk(MIB, ()), gpt.EFI_SYSTEM, "one")]
    parts.append(gpt.Partition(Disk(3 * MIB, ()), gpt.LINUX_FILESYSTEM, "zwei ü"))
    with (tmp_path / "disk").open("wb") as out:
        gpt.disk(parts, identity="x").write(out)
    tool("sgdisk", "-v", tmp_path / "disk")
    with (tmp_path / "disk").open("rb") as file:
        found = gpt_reader.partitions(FileView(file, "disk"))
    assert [(each.name, each.content.start, each.content.size) for each in found] == [
        ("one", MIB, MIB),
        ("zwei ü", 2 * MIB, 3 * MIB),
    ]


@pytest.mark.fault("a disk without a partition table", "`doit inspect` says so")
def test_a_disk_without_a_table(tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(bytes(MIB))
    with (tmp_path / "disk").open("rb") as file, pytest.raises(BuildError, match="no partition"):
        gpt_reader.partitions(FileView(file, "disk"))


def test_no_initramfs() -> None:
    with pytest.raises(BuildError, match="has no initramfs"):
        initramfs(b"x" * 1000, "kernel")
    header = bytearray(1000)
    header[0x202:0x206] = b"HdrS"
    with pytest.raises(BuildError):
        initramfs(bytes(header), "kernel")


def zstd(data: bytes, directory: Path) -> bytes:
    """`data` as the kernel's build packs it; `directory` is for its files."""
    (directory / "data").write_bytes(data)
    tool("zstd", "-22", "--ultra", "-q", directory / "data", "-o", directory / "packed")
    return (directory / "packed").read_bytes()


def bzimage(payload: bytes) -> bytes:
    """A kernel with the header of boot.rst, around `payload` and its size."""
    head = bytearray(1024)
    head[0x1F1] = 1
    head[0x202:0x206] = b"HdrS"
    head[0x248:0x250] = struct.pack("<II", 16, len(payload) + 4)
    return bytes(head) + bytes(16) + payload + b"size, and the code"


def zboot(payload: bytes) -> bytes:
    """A kernel as zboot-header.S begins it, around `payload`."""
    head = struct.pack("<4s4sII8x32s", b"MZ\0\0", b"zimg", 4096, len(payload), b"zstd")
    return head.ljust(4096, b"\0") + payload + b"its size, and the code"


@pytest.mark.parametrize("kernel", [bzimage, zboot])
def test_an_initramfs_in_a_packed_kernel(
    kernel: Callable[[bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tree(tmp_path / "root", {"init": b"#!/bin/sh", "etc/x": b"y"})
    archive = io.BytesIO()
    write_cpio([tmp_path / "root"], archive, mtime=0)
    # The magic alone is in the code of every kernel.
    packed = zstd(b"code 070701 code" + bytes(32) + archive.getvalue() + b"more", tmp_path)
    assert initramfs(kernel(packed), "kernel") == {"init": b"#!/bin/sh", "etc/x": b"y"}
    for damaged in (packed[: len(packed) // 2], b"not zstd", b""):
        with pytest.raises(BuildError, match="kernel"):
            initramfs(kernel(damaged), "kernel")
    with pytest.raises(BuildError, match="cannot be unpacked"):
        initramfs(kernel(packed)[:1000], "kernel")
    # It grows to a gigabyte, of which a part is read.
    bomb = zstd(bytes(2 << 20), tmp_path / "root") * 512
    with pytest.raises(BuildError, match="unpacks to more than 256 MiB"):
        initramfs(kernel(bomb), "kernel")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match="zstd is missing") as caught:
        initramfs(kernel(packed), "kernel")
    assert caught.value.hint == "install it (Debian: zstd)"


# --- licenses ----------------------------------------------------------------------------------


def test_which_files_are_licenses(tmp_path: Path) -> None:
    inside = {
        **dict.fromkeys(("COPYING", "LICENSE.txt", "Copyright", "LICENSES/a/MIT"), b"1"),
        **dict.fromkeys(("license.c", "src/COPYING", "licensed", "README", "copying.html"), b"2"),
    }
    make_tree(tmp_path / "thing-1", inside)
    tool("tar", "-cJf", tmp_path / "x", "thing-1", cwd=tmp_path)
    found = license_texts(tmp_path / "x", "thing-1.tar.xz")
    assert [name for name, _ in found] == ["COPYING", "Copyright", "LICENSE.txt", "LICENSES/a/MIT"]
    # Where there is none, it stands in the README.
    shutil.rmtree(tmp_path / "thing-1")
    make_tree(tmp_path / "thing-1", {"README.md": b"do what you like", "readme.c": b""})
    tool("tar", "-czf", tmp_path / "x", "./thing-1", cwd=tmp_path)
    assert license_texts(tmp_path / "x", "a.tgz") == [("README.md", b"do what you like")]
    assert license_texts(tmp_path / "x", "some.patch") == []
    (tmp_path / "x").write_bytes(b"\xfd7zXZ\0 broken")
    with pytest.raises(BuildError, match="licenses cannot be read"):
        license_texts(tmp_path / "x", "thing.tar")
