"""What the machine offers to a build: memory, processors, and folders fit for one.

A container's limits count as the machine's: what its control groups leave is all that there is.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from plan.errors import BuildError
from rootfs.files import fresh_folder

PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")
# Slow to build on, and without the locks or attributes that a local one has.
NETWORK = frozenset({"9p", "afs", "ceph", "cifs", "fuse.sshfs", "nfs", "nfs4", "smb3", "virtiofs"})


def memory(proc: Path = PROC, cgroups: Path = CGROUPS) -> tuple[int, int]:
    """Bytes of memory that can be had now without swapping, and bytes of free swap."""
    table = dict(re.findall(r"^(\w+): +(\d+) kB", (proc / "meminfo").read_text(), re.MULTILINE))
    free, swap = (1024 * int(table[name]) for name in ("MemAvailable", "SwapFree"))
    limits = [int(text) for text in _limits("memory.max", proc, cgroups) if text != "max"]
    return min(free, *limits) if limits else free, swap


def processors(proc: Path = PROC, cgroups: Path = CGROUPS) -> int:
    """How many processors this process may use at once."""
    counts = [len(os.sched_getaffinity(0))]
    for text in _limits("cpu.max", proc, cgroups):
        quota, period = text.split()
        if quota != "max":
            counts.append(max(1, -(-int(quota) // int(period))))
    return min(counts)


def _limits(name: str, proc: Path, cgroups: Path) -> Iterator[str]:
    """The file `name` of this process's control group and of those above (cgroups(7), v2)."""
    try:
        found = re.search(r"^0::/(.*)$", (proc / "self/cgroup").read_text(), re.MULTILINE)
    except OSError:
        return
    group = cgroups / (found[1] if found else "")
    for folder in (group, *group.parents):
        if folder.is_relative_to(cgroups) and (folder / name).is_file():
            yield (folder / name).read_text().strip()


def file_system(folder: Path, proc: Path = PROC) -> str:
    """The type of the file system that `folder` lies on ("ext4"), or "" if nothing tells."""
    found, length = "", -1
    try:
        lines = (proc / "self/mountinfo").read_text().splitlines()
    except OSError:
        return ""
    for line in lines:
        mount, _, rest = line.partition(" - ")
        # Blanks in paths are written in octal (proc_pid_mountinfo(5)).
        point = re.sub(r"\\(\d{3})", lambda match: chr(int(match[1], 8)), mount.split()[4])
        # Of two mounts at one point the later covers the earlier.
        if folder.is_relative_to(point) and len(point) >= length:
            found, length = rest.split()[0], len(point)
    return found


def existing(folder: Path) -> Path:
    """`folder`, or the nearest folder above it that is there already."""
    return next(path for path in (folder, *folder.parents) if path.is_dir())


def unfit(folder: Path) -> str:
    """Why builds cannot be made in `folder`, found by trying; "" if they can.

    Raises OSError if it cannot be written to.
    """
    with tempfile.TemporaryDirectory(prefix=".bq2-trial-", dir=folder) as name:
        trial = Path(name)
        (trial / "Case").touch()
        (trial / "Case").chmod(0o755)
        if (trial / "cASE").exists():
            return "does not tell upper from lower case"
        # One name in two spellings (Unicode, annex 15), which ZFS and others can be told to merge.
        (trial / "\u00e9").touch()
        if (trial / "e\u0301").exists():
            return "does not tell two spellings of a letter apart"
        if not os.access(trial / "Case", os.X_OK):
            return "holds no programs (it is mounted noexec)"
        try:
            (trial / "link").symlink_to("Case")
            (trial / "link").stat()  # not with the mount option nosymfollow
            (trial / "hard").hardlink_to(trial / "Case")
        except OSError:
            return "holds no links"
        made = fresh_folder(trial / "made")
        os.close(os.open(made / "file", os.O_CREAT, 0o640))
        found = made.stat(), (made / "file").stat()
        if [stat.S_IMODE(each.st_mode) & ~0o640 for each in found] != [0o115, 0]:
            return "gives files other modes than they are made with"
    return ""


def require_fit(folder: Path, elsewhere: str) -> None:
    """Raise BuildError unless builds can be made in `folder`; `elsewhere` names another one.

    One that cannot be written to has errors of its own, where something is written.
    """
    with contextlib.suppress(OSError):
        if lack := unfit(existing(folder)):
            raise BuildError(
                f"nothing can be built there: its file system {lack}",
                where=os.fspath(folder),
                hint=f"name a directory elsewhere: {elsewhere}",
            )
