"""rootfs.compare.unified_diff: GNU's and busybox's `patch -p1` apply the diffs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rootfs.compare.unified_diff import unified
from tests.tasks.toy import BUSYBOX

LONG = b"".join(b"line %d\n" % number for number in range(50))


@pytest.mark.parametrize("program", [["patch"], [str(BUSYBOX), "patch"]], ids=["gnu", "busybox"])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (LONG, LONG.replace(b"line 3\n", b"").replace(b"line 40\n", b"x\ny\n")),
        (b"a\r\nb\x0c\x1c\n\xe4\xff\n", b"a\r\nc\x0c\x1c\n\xe4\xff\n"),
        (None, b"new\n"),
        (b"a\nb\n", b""),
        (b"no newline", b"a newline\n"),
        (b"one\ntwo\nno newline", b"two\nno newline\nthree\n"),
    ],
)
def test_the_old_becomes_the_new(
    tmp_path: Path, program: list[str], old: bytes | None, new: bytes
) -> None:
    text = unified("sub/file", old, new)
    if old is not None:
        (tmp_path / "sub").mkdir()
        (tmp_path / "sub" / "file").write_bytes(old)
    command = [*program, "-p1"]
    done = subprocess.run(
        command, cwd=tmp_path, input=text.encode("utf-8", "surrogateescape"), capture_output=True
    )
    assert done.returncode == 0 and b"fuzz" not in done.stdout, done
    assert (tmp_path / "sub" / "file").read_bytes() == new


@pytest.mark.parametrize("program", [["patch"], [str(BUSYBOX), "patch"]], ids=["gnu", "busybox"])
@pytest.mark.parametrize("old", [b"a\n", None], ids=["changed", "new"])
def test_a_name_with_a_space(tmp_path: Path, program: list[str], old: bytes | None) -> None:
    if old:
        (tmp_path / "a file").write_bytes(old)
    text = unified("a file", old, b"b\n")
    subprocess.run([*program, "-p1"], cwd=tmp_path, input=text.encode(), check=True)
    assert (tmp_path / "a file").read_bytes() == b"b\n"


def test_what_says_the_same_gives_nothing() -> None:
    assert unified("x", LONG, LONG) == "" == unified("x", None, b"")
    assert unified("x", b"a", b"a\n").endswith("+a\n-a\n\\ No newline at end of file\n")
