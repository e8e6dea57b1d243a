"""rootfs.sandbox.host: memory, processors and directories of a machine and of a container."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rootfs.sandbox import host

MEMINFO = "MemTotal: 8000 kB\nMemAvailable:    4000 kB\nSwapFree:  1000 kB\n"
MOUNTS = """\
21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
22 21 0:20 / /home rw - nfs4 server:/home rw
23 22 0:21 / /home/my\\040disk rw - btrfs /dev/sdb rw
24 21 0:22 / /home rw - xfs /dev/sdc rw
"""


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "meminfo").write_text(MEMINFO)
    (tmp_path / "proc" / "self" / "cgroup").write_text("4:cpu:/x\n0::/user/build\n")
    (tmp_path / "proc" / "self" / "mountinfo").write_text(MOUNTS)
    return tmp_path / "proc"


def groups(top: Path, name: str, *texts: str) -> Path:
    """Control groups, the inner last, whose files `name` hold `texts`."""
    for directory, text in zip(("", "user", "user/build"), texts, strict=False):
        (top / directory).mkdir(parents=True, exist_ok=True)
        (top / directory / name).write_text(text + "\n")
    return top


@pytest.mark.parametrize(
    ("limits", "free"),
    [((), 4000), (("max", "max", "max"), 4000), (("max", "2048000"), 2000), (("1024000",), 1000)],
)
def test_memory(proc: Path, tmp_path: Path, limits: tuple[str, ...], free: int) -> None:
    cgroups = groups(tmp_path / "groups", "memory.max", *limits)
    assert host.memory(proc, cgroups) == (free * 1024, 1000 * 1024)


@pytest.mark.parametrize(
    ("limits", "most"),
    [((), 1024), (("max 100000",), 1024), (("max 100000", "150000 100000"), 2), (("1 100",), 1)],
)
def test_processors(proc: Path, tmp_path: Path, limits: tuple[str, ...], most: int) -> None:
    cgroups = groups(tmp_path / "groups", "cpu.max", *limits)
    assert host.processors(proc, cgroups) == min(most, len(os.sched_getaffinity(0)))


def test_this_machine() -> None:
    free, swap = host.memory()
    assert free > 0 and swap >= 0 and host.processors() >= 1
    assert host.file_system(Path("/proc/self")) == "proc"


@pytest.mark.parametrize(
    ("directory", "kind"),
    [("/srv", "ext4"), ("/home/x", "xfs"), ("/homes", "ext4"), ("/home/my disk/x", "btrfs")],
)
def test_file_systems(proc: Path, directory: str, kind: str) -> None:
    assert host.file_system(Path(directory), proc) == kind


def test_directories(tmp_path: Path) -> None:
    assert host.unfit(tmp_path) == "" and not [*tmp_path.iterdir()]
    assert host.existing(tmp_path / "a" / "b") == tmp_path
    with pytest.raises(OSError):
        host.unfit(Path("/proc"))


@pytest.mark.namespace
def test_a_directory_that_holds_no_programs(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from rootfs.sandbox import host; "
    code += "print(host.unfit(Path(sys.argv[1])))"
    script = 'mount -t tmpfs -o noexec tmpfs "$4" && exec "$@"'
    command = [sys.executable, "-c", code, os.fspath(tmp_path)]
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script, command[0], *command],
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    assert "noexec" in done.stdout
