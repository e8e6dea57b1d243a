"""rootfs.archives.cpio: GNU cpio lists and unpacks the archives, and would write the same."""

from __future__ import annotations

import io
import os
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plan.errors import BuildError
from rootfs.archives.cpio import FIELDS, TOP, Node, character_device, directory, write_cpio
from tests.rootfs.tools import contents, make_tree, quick, snapshot, tool

TIME = 1735689600


def archive(*layers: Path, extra: tuple[Node, ...] = (), exclude: tuple[str, ...] = ()) -> bytes:
    out = io.BytesIO()
    written = write_cpio(layers, out, mtime=TIME, extra=extra, exclude=exclude)
    assert written == len(out.getvalue())
    assert written % 512 == 0
    return out.getvalue()


def parse(data: bytes) -> list[tuple[bytes, dict[str, int], bytes]]:
    """(name, fields, contents) of each member before the trailer."""
    members: list[tuple[bytes, dict[str, int], bytes]] = []
    at = 0
    while True:
        assert data[at : at + 6] == b"070701"
        head = data[at + 6 : at + 110]
        values = {name: int(head[8 * n : 8 * n + 8], 16) for n, name in enumerate(FIELDS)}
        start = at + 110
        name = data[start : start + values["namesize"] - 1]
        body = -(-(start + values["namesize"]) // 4) * 4
        at = -(-(body + values["filesize"]) // 4) * 4
        if name == b"TRAILER!!!":
            return members
        members.append((name, values, data[body : body + values["filesize"]]))


def unpack(data: bytes, into: Path) -> dict[str, tuple[int, bytes, str]]:
    into.mkdir()
    tool("cpio", "-idm", "--quiet", "--no-preserve-owner", stdin=data, cwd=into)
    return snapshot(into)


def odd_tree(top: Path) -> Path:
    """One of everything that needs no privilege."""
    make_tree(top, {"bin/tool": b"#!", "empty": b"", "d/x y\n": b"odd", "d/\udcff": b"not UTF-8"})
    (top / "bin/tool").chmod(0o4755)
    (top / "empty").chmod(0o600)
    (top / "d").chmod(0o1777)
    (top / "bin/link").symlink_to("../no/where")
    for name in ("bin/another", "d/name", "zz"):
        (top / name).hardlink_to(top / "bin/tool")
    (top / "e").hardlink_to(top / "empty")
    os.mkfifo(top / "pipe", 0o622)
    (top / "pipe").chmod(0o622)
    return top


def test_gnu_cpio_gets_the_tree_back(tmp_path: Path) -> None:
    top = odd_tree(tmp_path / "tree")
    assert unpack(archive(top), tmp_path / "back") == snapshot(top)


@pytest.mark.fault("any tree, packed as cpio", "GNU cpio unpacks the same")
@quick
@given(
    files=st.dictionaries(
        st.lists(st.sampled_from(["d", "e", "d-d"]), max_size=3).flatmap(
            lambda above: st.text("abc.\N{SNOWMAN}", min_size=1, max_size=60).map(
                lambda name: "/".join([*above, "f" + name])
            )
        ),
        contents,
        max_size=8,
    )
)
def test_random_trees_come_back(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        top = make_tree(Path(directory, "tree"), files)
        assert unpack(archive(top), Path(directory, "back")) == snapshot(top)


def test_gnu_cpio_writes_the_same_members(tmp_path: Path) -> None:
    """All but the link count of directories, which is whatever the file system says."""
    top = odd_tree(tmp_path / "tree")
    for path in [*top.rglob("*")]:
        os.utime(path, (TIME, TIME), follow_symlinks=False)
    names = sorted(os.fsencode(path.relative_to(top)) for path in top.rglob("*"))
    packed = tmp_path / "packed"
    arguments = ["-o0", "-H", "newc", "-R", "0:0", "--reproducible", "--quiet", "-O", str(packed)]
    tool("cpio", *arguments, stdin=b"".join(name + b"\0" for name in names), cwd=top)
    theirs, ours = parse(packed.read_bytes()), parse(archive(top))
    for _, values, _ in [*theirs, *ours]:
        if stat.S_ISDIR(values["mode"]):
            values["nlink"] = 0
        values["ino"] = 0  # GNU numbers hard links where their data is
    assert sorted(ours, key=lambda member: member[0]) == ours
    assert sorted(theirs, key=lambda member: member[0]) == ours


def test_nothing_of_the_machine_is_in_it(tmp_path: Path) -> None:
    files = {f"d{n % 3}/f{n}": b"%d" % n for n in range(20)}
    one = make_tree(tmp_path / "one", files)
    old = os.umask(0o077)
    try:
        two = make_tree(tmp_path / "elsewhere" / "two", dict(reversed(files.items())))
        for path in two.rglob("*"):
            path.chmod((one / path.relative_to(two)).stat().st_mode)
            os.utime(path, (1, 1))
        assert archive(one) == archive(two)
    finally:
        os.umask(old)


def test_every_member_is_roots_and_has_the_time(tmp_path: Path) -> None:
    members = parse(archive(odd_tree(tmp_path)))
    assert {values["mtime"] for _, values, _ in members} == {TIME}
    zero = ("uid", "gid", "devmajor", "devminor", "check")
    assert not any(values[field] for _, values, _ in members for field in zero)
    numbers = [values["ino"] for _, values, _ in members]
    assert sorted(set(numbers)) == list(range(1, len(set(numbers)) + 1))
    assert numbers[0] == 1
    directories = [values["nlink"] for _, values, _ in members if stat.S_ISDIR(values["mode"])]
    assert directories == [2, 2]
    tool_names = {name: values for name, values, _ in members if values["mode"] == 0o104755}
    assert len(tool_names) == 4
    assert {values["nlink"] for values in tool_names.values()} == {4}
    assert len({values["ino"] for values in tool_names.values()}) == 1
    sizes = [values["filesize"] for values in tool_names.values()]
    assert sizes == [0, 0, 0, 2]  # the data is with the last name


def test_nodes_need_no_root(tmp_path: Path) -> None:
    top = make_tree(tmp_path / "tree", {"init": b"file", "dev/left": b""})
    nodes = (
        directory("dev", 0o700),
        character_device("dev/console", 5, 1, 0o600),
        character_device("dev/null", 1, 3, 0o666),
        Node("dev/fd", stat.S_IFLNK | 0o777, content=b"/proc/self/fd"),
        Node("init", stat.S_IFREG | 0o755, content=b"node"),
        directory("proc"),
    )
    data = archive(top, extra=nodes)
    lines = tool("cpio", "-itv", "--quiet", "--numeric-uid-gid", stdin=data).splitlines()
    listed = {line.split()[0] + " " + " ".join(line.split()[4:]) for line in lines}
    assert listed == {
        "drwx------ 0 Jan 1 2025 dev",
        "crw------- 5, 1 Jan 1 2025 dev/console",
        "crw-rw-rw- 1, 3 Jan 1 2025 dev/null",
        "lrwxrwxrwx 13 Jan 1 2025 dev/fd -> /proc/self/fd",
        "-rw-r--r-- 0 Jan 1 2025 dev/left",
        "-rwxr-xr-x 4 Jan 1 2025 init",
        "drwxr-xr-x 0 Jan 1 2025 proc",
    }
    assert parse(data)[[name for name, _, _ in parse(data)].index(b"init")][2] == b"node"
    assert archive(top, extra=nodes[::-1]) == data


def test_the_top_has_the_mode_of_its_node(tmp_path: Path) -> None:
    top = make_tree(tmp_path / "tree", {"a": b""})
    data = archive(top, extra=(directory(TOP, 0o711),))
    assert next((name, values["mode"]) for name, values, _ in parse(data)) == (b".", 0o40711)
    assert set(unpack(data, tmp_path / "back")) >= {"a"}


def test_layers_and_leave(tmp_path: Path) -> None:
    lower = make_tree(tmp_path / "lower", {"a": b"lower", "lib/x.a": b"", "lib/x.so": b""})
    upper = make_tree(tmp_path / "upper", {"a": b"upper", "share/man/m": b""})
    found = unpack(archive(lower, upper, exclude=("**/*.a", "share/man")), tmp_path / "back")
    assert {name: data for name, (_, data, _) in found.items()} == {
        "a": b"upper", "lib": b"", "lib/x.so": b"", "share": b"",
    }  # fmt: skip


def test_a_node_may_replace_the_first_of_linked_names(tmp_path: Path) -> None:
    top = make_tree(tmp_path / "tree", {"a": b"linked"})
    (top / "b").hardlink_to(top / "a")
    found = unpack(
        archive(top, extra=(Node("a", stat.S_IFREG | 0o644, content=b"new"),)), tmp_path / "back"
    )
    assert {name: data for name, (_, data, _) in found.items()} == {"a": b"new", "b": b"linked"}


def test_an_empty_archive(tmp_path: Path) -> None:
    data = archive(make_tree(tmp_path / "tree", {}))
    assert len(data) == 512
    assert unpack(data, tmp_path / "back") == {}
    assert archive() == data


@pytest.mark.fault("nodes that cannot be in an initramfs", "one error")
@pytest.mark.parametrize(
    ("node", "where"),
    [
        (character_device("dev/console", 5, 1, 0o600), "dev"),
        (character_device("file/console", 5, 1, 0o600), "file"),
        (directory("/dev"), "/dev"),
        (directory("../dev"), "../dev"),
        (directory(""), ""),
        (directory("a//b"), "a//b"),
        (directory("./a"), "./a"),
        (Node(".", stat.S_IFREG | 0o644), "."),
        (directory("file"), "file"),
        (Node("directory", stat.S_IFREG | 0o644), "directory"),
        (Node("device", stat.S_IFCHR, (-1, 0)), "device"),
    ],
)
def test_impossible_nodes(tmp_path: Path, node: Node, where: str) -> None:
    make_tree(tmp_path, {"file": b"", "directory/x": b""})
    with pytest.raises(BuildError) as caught:
        archive(tmp_path, extra=(node,))
    assert caught.value.where == where


@pytest.mark.fault("a file of 4 GiB for the initramfs", "one error")
def test_a_file_that_newc_cannot_hold(tmp_path: Path) -> None:
    make_tree(tmp_path, {"large": b""})
    os.truncate(tmp_path / "large", 1 << 32)
    with pytest.raises(BuildError, match="filesize") as caught:
        archive(tmp_path)
    assert caught.value.where == "large"


class Vandal(io.BytesIO):
    """Shortens a file as soon as the archive's first byte is written."""

    def __init__(self, victim: Path) -> None:
        super().__init__()
        self._victim = victim

    def write(self, data: object) -> int:
        os.truncate(self._victim, 3)
        return super().write(data)  # type: ignore[arg-type]


@pytest.mark.fault("a file that changes while it is packed", "one error")
def test_a_file_that_changes_meanwhile(tmp_path: Path) -> None:
    make_tree(tmp_path, {"file": b"12345"})
    with pytest.raises(BuildError, match="became shorter"):
        write_cpio([tmp_path], Vandal(tmp_path / "file"), mtime=TIME)
