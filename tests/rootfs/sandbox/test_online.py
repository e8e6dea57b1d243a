"""rootfs.sandbox.online: the host's names in a root; the root itself stays as it is."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from plan.model import Command
from rootfs.sandbox.compose import Composer
from rootfs.sandbox.enter import Sandbox, enter
from rootfs.sandbox.online import root_online
from tests.rootfs.tools import make_tree, snapshot
from tests.tasks.toy import make_seed

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.namespace


@pytest.mark.parametrize("overlay", [True, False])
@pytest.mark.parametrize("layers", [1, 2])
def test_the_names_lie_over_each_kind_of_root(tmp_path: Path, overlay: bool, layers: int) -> None:
    """One tree, an overlay, hard links; resolv.conf is a link, as systemd-resolved makes one."""
    seed = make_tree(make_seed(tmp_path / "seed"), {"etc/hosts": b"old", "etc/own": b"own"})
    for name in ("proc", "dev"):
        (seed / name).mkdir()
    trees = [seed, make_tree(tmp_path / "second", {"usr/share/second": b""})][:layers]
    before = [snapshot(tree) for tree in trees]
    etc = make_tree(tmp_path / "etc", {"hosts": b"127.0.0.1 here\n"})
    stub = make_tree(tmp_path / "run", {"stub": b"nameserver 192.0.2.1\n"}) / "stub"
    (etc / "resolv.conf").symlink_to(stub)
    (tmp_path / "place").mkdir()
    root = Composer(tmp_path / "place", overlay).readonly("/", trees)
    place = Sandbox(tmp_path / "place", root, [], {"PATH": "/usr/bin"})
    online = root_online(place, overlay=overlay, etc=etc)
    look = Command(("sh", "-c", "cat /etc/hosts /etc/resolv.conf /etc/own; echo x > /etc/own"), "/")
    enter(place, [look], log=tmp_path / "log", online=online)
    said = (tmp_path / "log").read_text()
    assert "127.0.0.1 here\nnameserver 192.0.2.1\nown" in said and "Read-only" in said, said
    (tmp_path / "log").unlink()
    enter(place, [look], log=tmp_path / "log")
    assert "192.0.2.1" not in (tmp_path / "log").read_text()
    assert [snapshot(tree) for tree in trees] == before


def test_a_machine_without_names(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    place = Sandbox(tmp_path, {"at": "/", "bind": str(tmp_path / "tree")}, [], {})
    root_online(place, overlay=True, etc=tmp_path / "nowhere")
    assert list((tmp_path / "online" / "layer" / "etc").iterdir()) == []


def test_only_a_shell_and_casd_are_online() -> None:
    """No other call of enter() can pass a root with the network: all are looked at."""
    passing = set()
    for path in [*(ROOT / "rootfs").rglob("*.py"), *(ROOT / "tasks").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "enter":
                assert all(word.arg for word in node.keywords), f"{path}: enter(**…) hides words"
                if any(word.arg == "online" for word in node.keywords):
                    passing.add(path.relative_to(ROOT).as_posix())
    assert passing == {"tasks/shell.py", "tasks/engine/casd.py"}
