"""A root with the scripts of this checkout, to run them in namespaces, without a machine.

the user's cache ──busybox, musl, …──┐
plan/recipes/init ───────────────────┴─▶ a directory ──unshare, chroot──▶ a script
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.checkout import ROOT, own_cache

INIT = ROOT / "plan" / "recipes" / "init"
PROGRAM = ROOT / "plan" / "program"
NEEDED = ("base-files", "musl", "busybox", "dropbear")
MACHINES = {"x86_64": 62, "aarch64": 183, "riscv64": 243}  # e_machine, System V ABI's ELF header

# /dev of the host, and what the kernel has for these namespaces. A card: one of the kernel's own.
ENTER = r"""
set -e
mount --rbind /dev "$1/dev"
mount -t proc proc "$1/proc"
mount -t tmpfs tmpfs "$1/run"
mkdir -p "$1/run/service/clock" "$1/run/ssh/keys" "$1/run/provision"
hostname bq2
ip link add card0 type dummy 2>/dev/null || ip link add card0 type veth peer name other
ip link set card0 up
exec chroot "$1" /bin/sh -c "$2"
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


def _artifacts(cache: Path) -> dict[str, Path]:
    """The newest artifact of each needed package, for this machine."""
    found: dict[str, Path] = {}
    records = sorted((cache / "steps").glob("*.json"), key=lambda path: path.stat().st_mtime)
    for record in map(json.loads, (path.read_text() for path in records)):
        file = cache / "artifacts" / f"{record['artifact']}.tar"
        if record["name"] in NEEDED and file.exists() and _runs_here(file):
            found[record["name"]] = file
    return found


def _runs_here(file: Path) -> bool:
    """Whether no program of the archive `file` is for another machine."""
    data = file.read_bytes()
    at = data.find(b"\x7fELF\x02\x01\x01")
    return at < 0 or data[at + 18] == MACHINES.get(os.uname().machine)


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root: packages as they were built last, and this checkout's init."""
    found = _artifacts(own_cache())
    if missing := {*NEEDED} - {*found}:
        pytest.skip(f"not built for this machine yet: {', '.join(sorted(missing))}")
    top = tmp_path_factory.mktemp("machine") / "root"
    top.mkdir()
    for file in found.values():
        subprocess.run(["tar", "-xf", file, "-C", top], check=True)
    shutil.copytree(INIT / "etc", top / "etc", dirs_exist_ok=True)
    shutil.copytree(INIT / "lib", top / "usr/lib/init")
    shutil.copytree(PROGRAM, top / "usr/lib/app")
    (top / "etc/resolv.conf").unlink(missing_ok=True)
    (top / "etc/resolv.conf").symlink_to("../run/resolv.conf")
    for each in (*(top / "usr/lib").glob("[ai]*/*"), *(top / "etc/service").iterdir()):
        each.chmod(0o755)
    return top


@pytest.fixture
def run(tree: Path, tmp_path: Path) -> Run:
    """Runs a script of a shell in a copy of the root, with the given variables."""
    top = tmp_path / "root"
    subprocess.run(["cp", "-al", tree, top], check=True)

    def run(script: str, **variables: str) -> subprocess.CompletedProcess[str]:
        spaces = ["unshare", "--map-root-user", "--mount", "--net", "--uts", "--pid", "--fork"]
        environment = {"PATH": "/usr/bin:/usr/sbin:/bin:/sbin", **variables}
        return subprocess.run(
            [*spaces, "sh", "-c", ENTER, "sh", top, script],
            env=environment,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    return run
