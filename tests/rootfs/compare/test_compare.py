"""rootfs.compare: differences in real trees and files, as precise as their format allows."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from rootfs.compare import ar, elf
from rootfs.compare.cause import BUILD_ID, MODE, ORDER, RANDOM, TIME, UNKNOWN, USER, likely
from rootfs.compare.compare import Difference, files, trees

PROGRAM = Path(os.path.realpath(sys.executable))
NOW = int(time.time())
# In 2025. The four bytes of now and then are all characters, and nobody could tell them from text.
MOMENT = 0x6900_0102


def without_bytes(value: object) -> str:
    """A test is called the same at any time, in each process that runs tests side by side."""
    return value if isinstance(value, str) else type(value).__name__


def differences(tmp_path: Path, old: bytes, new: bytes) -> Difference:
    for name, content in (("old", old), ("new", new)):
        (tmp_path / name).write_bytes(content)
    found = files(tmp_path / "old", tmp_path / "new", "/x")
    assert found
    return found


def archive(*members: tuple[str, bytes], when: int = 0, uid: int = 0) -> bytes:
    """An ar file as GNU's ar makes one, with a table of the long names."""
    names = b"".join(name.encode() + b"/\n" for name, _ in members if len(name) > 15)
    parts = [(b"//", names)] if names else []
    for name, content in members:
        place = names.find(name.encode() + b"/\n")
        parts.append((f"/{place}" if len(name) > 15 else f"{name}/", content))  # type: ignore[arg-type]
    out = ar.MAGIC
    for raw, content in parts:
        text = raw.decode() if isinstance(raw, bytes) else raw
        out += f"{text:<16}{when:<12}{uid:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
        out += content + b"\n" * (len(content) % 2)
    return out


def changed(section: str, *, size: int = 4) -> tuple[bytes, bytes]:
    """This interpreter, and the same with other bytes in the middle of a section."""
    data = PROGRAM.read_bytes()
    (found,) = (each for each in elf.sections(data) if each.name == section)
    at = found.offset + found.size // 2
    return data, data[:at] + bytes(byte ^ 0xFF for byte in data[at : at + size]) + data[at + size :]


def test_the_sections_of_a_real_program() -> None:
    found = {each.name: each for each in elf.sections(PROGRAM.read_bytes())}
    assert {".text", ".rodata", ".dynsym", ".data"} <= {*found} and ".bss" not in found
    assert found[".rodata"].is_data and not found[".text"].is_data
    if readelf := shutil.which("readelf"):
        command = [readelf, "-SW", PROGRAM]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        row = re.search(r"\.rodata +PROGBITS +\w+ (\w+) (\w+)", said)
        assert row
        place = int(row[1], 16), int(row[2], 16)
        assert (found[".rodata"].offset, found[".rodata"].size) == place


def test_a_program_differs_in_what_the_rest_follows_from(tmp_path: Path) -> None:
    old, new = changed(".rodata")
    _, code = changed(".text")
    both = bytearray(code)
    at = next(n for n, pair in enumerate(zip(old, new, strict=True)) if pair[0] != pair[1])
    both[at : at + 4] = new[at : at + 4]
    found = differences(tmp_path, old, bytes(both))
    assert found.where == f"section .rodata, offset {at:#x}"
    assert found.old.startswith(old[at : at + 4].hex(" "))
    assert found.new.startswith(new[at : at + 4].hex(" "))


def test_a_build_id(tmp_path: Path) -> None:
    if ".note.gnu.build-id" not in {each.name for each in elf.sections(PROGRAM.read_bytes())}:
        pytest.skip("this interpreter has no build id")
    assert differences(tmp_path, *changed(".note.gnu.build-id", size=1)).cause == BUILD_ID


@pytest.mark.parametrize(
    ("old", "new", "where", "cause"),
    [
        (
            archive(("a.o", b"1"), ("b.o", b"2")),
            archive(("b.o", b"2"), ("a.o", b"1")),
            "b.o",
            ORDER,
        ),
        (archive(("a.o", b"1")), archive(("a.o", b"1"), when=NOW), "time of the member a.o", TIME),
        (archive(("a.o", b"1")), archive(("a.o", b"1"), uid=1000), "uid of the member a.o", USER),
        (
            archive(("a-quite-long-name.o", b"x\n1")),
            archive(("a-quite-long-name.o", b"x\n2")),
            "member a-quite-long-name.o, line 2, offset 0x98",
            UNKNOWN,
        ),
        (b"one\ntwo\n", b"two\none\n", "line 1, offset 0x0", ORDER),
        (b"one\ntwo", b"one\nten", "line 2, offset 0x5", UNKNOWN),
        (b"\0ab", b"\0ac", "offset 0x2", UNKNOWN),
        (b"same", b"same and more", "line 1, offset 0x4", UNKNOWN),
        (elf.MAGIC + b"\2\1", elf.MAGIC + b"\2\1\0", "offset 0x6", UNKNOWN),
        (ar.MAGIC + b"x" * 60, ar.MAGIC + b"y" * 60, "line 2, offset 0x8", UNKNOWN),
    ],
    ids=without_bytes,
)
def test_where_and_why(tmp_path: Path, old: bytes, new: bytes, where: str, cause: str) -> None:
    found = differences(tmp_path, old, new)
    assert where in found.where and found.cause == cause, found


@pytest.mark.fault(
    "a file begins as an archive or a program does, and has impossible numbers",
    "it is compared as plain bytes",
)
def test_impossible_numbers() -> None:
    sized = f"{'x/':<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{-60:<10}`\n".encode()
    assert ar.members(ar.MAGIC + sized) == []
    header = b"\x7fELF\2\1".ljust(40, b"\0") + struct.pack("<Q10xHHH", 1 << 63, 64, 1, 0)
    assert elf.sections(header) == []


def test_an_archive_in_a_tar(tmp_path: Path) -> None:
    for name, number in (("old", b"1"), ("new", b"2")):
        (tmp_path / "lib.a").write_bytes(archive(("a.o", number)))
        os.utime(tmp_path / "lib.a", (0, 0))
        with tarfile.open(tmp_path / f"{name}.tar", "w") as tar:
            tar.add(tmp_path / "lib.a", "usr/lib/lib.a")
    found = files(tmp_path / "old.tar", tmp_path / "new.tar", "whole.tar")
    assert found and "member usr/lib/lib.a, member a.o, line 1, offset" in found.where
    assert found.old.startswith("31 0a") and found.new.startswith("32 0a")


def test_trees(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name / "d").mkdir(parents=True)
        (tmp_path / name / "d" / "same").write_text("same")
        (tmp_path / name / "d" / "mode").touch()
        (tmp_path / name / "link").symlink_to(name)
        (tmp_path / name / f"only-{name}").touch()
    (tmp_path / "new" / "d" / "mode").chmod(0o600)
    found = {each.path: each for each in trees(tmp_path / "old", tmp_path / "new")}
    assert [*found] == ["/d/mode", "/link", "/only-new", "/only-old"]
    assert (found["/d/mode"].old, found["/d/mode"].cause) == ("-rw-r--r--", MODE)
    assert found["/link"].where == "the link, offset 0x0"
    assert found["/only-new"].lines[1:3] == ["old    missing", "new    present"]
    assert not [*trees(tmp_path / "old", tmp_path / "old")]


@pytest.mark.parametrize(
    ("old", "new", "cause"),
    [
        (f"at {NOW}.".encode(), f"at {NOW + 8_640_000}.".encode(), TIME),
        (b"Jan 01 2025 10:11:12", b"Jan 01 2025 10:11:17", TIME),
        (b"\0\0" + struct.pack("<Q", MOMENT), b"\0\0" + struct.pack("<Q", MOMENT + 3), TIME),
        (b"\0\0" + struct.pack(">I", MOMENT), b"\0\0" + struct.pack(">I", MOMENT + 3), TIME),
        (b"sekfjgh", b"sekfxgh", UNKNOWN),
        (b"f81d4fae-7dec-11d0-a765-00a0c91e6bf6", b"f81d4fae-7dec-21d0-a765-00a0c91e6bf6", RANDOM),
        (b"in /work/a", b"in /elsewhere/of/it", "path"),
        (b"-j 2", b"-j 5", "jobs"),
        (b"v1.2", b"v1.3", UNKNOWN),
        (b"x2", b"x5", UNKNOWN),
    ],
    ids=without_bytes,
)
def test_likely(old: bytes, new: bytes, cause: str) -> None:
    at = next(n for n, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1])
    assert likely(old, new, at, {"path": ["/elsewhere"], "jobs": ["5"]}) == cause
