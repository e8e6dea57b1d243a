"""What the machine offers to a build: memory, processors and suitable directories.

The limits of a container's control groups count as the limits of the machine.
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
from rootfs.archives.files import fresh_directory

PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")
# Network file systems: slow, and without the locks or attributes of a local one.
NETWORK = frozenset({"9p", "afs", "ceph", "cifs", "fuse.sshfs", "nfs", "nfs4", "smb3", "virtiofs"})


def memory(proc: Path = PROC, cgroups: Path = CGROUPS) -> tuple[int, int]:
    """Bytes of memory available now without swapping, and bytes of free swap."""
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
    """The file `name` of this process's control group and of its parents (cgroups(7), v2)."""
    try:
        found = re.search(r"^0::/(.*)$", (proc / "self/cgroup").read_text(), re.MULTILINE)
    except OSError:
        return
    group = cgroups / (found[1] if found else "")
    for directory in (group, *group.parents):
        if directory.is_relative_to(cgroups) and (directory / name).is_file():
            yield (directory / name).read_text().strip()


def file_system(directory: Path, proc: Path = PROC) -> str:
    """The type of the file system that `directory` is on ("ext4"), or "" if unknown."""
    found, length = "", -1
    try:
        lines = (proc / "self/mountinfo").read_text().splitlines()
    except OSError:
        return ""
    for line in lines:
        mount, _, rest = line.partition(" - ")
        # Spaces in paths are written in octal (proc_pid_mountinfo(5)).
        point = re.sub(r"\\(\d{3})", lambda match: chr(int(match[1], 8)), mount.split()[4])
        # A later mount covers an earlier one at the same point.
        if directory.is_relative_to(point) and len(point) >= length:
            found, length = rest.split()[0], len(point)
    return found


def existing(directory: Path) -> Path:
    """`directory`, or its nearest parent that exists."""
    return next(path for path in (directory, *directory.parents) if path.is_dir())


def unfit(directory: Path) -> str:
    """Try `directory`: why its file system is unfit for builds, or "" if it is fit.

    Raises OSError if the directory is not writable.
    """
    with tempfile.TemporaryDirectory(prefix=".bq2-trial-", dir=directory) as name:
        trial = Path(name)
        (trial / "Case").touch()
        (trial / "Case").chmod(0o755)
        if (trial / "cASE").exists():
            return "does not tell upper from lower case"
        # One name in two Unicode forms (annex 15): ZFS and others can be set to merge them.
        (trial / "\u00e9").touch()
        if (trial / "e\u0301").exists():
            return "does not tell two Unicode forms of a letter apart"
        if not os.access(trial / "Case", os.X_OK):
            return "does not run programs (it is mounted noexec)"
        try:
            (trial / "link").symlink_to("Case")
            (trial / "link").stat()  # not with the mount option nosymfollow
            (trial / "hard").hardlink_to(trial / "Case")
        except OSError:
            return "does not support links"
        made = fresh_directory(trial / "made")
        os.close(os.open(made / "file", os.O_CREAT, 0o640))
        found = made.stat(), (made / "file").stat()
        if [stat.S_IMODE(each.st_mode) & ~0o640 for each in found] != [0o115, 0]:
            return "changes the modes of new files"
    return ""


def require_fit(directory: Path, elsewhere: str) -> None:
    """Raise BuildError if `directory` is unfit for builds; `elsewhere` says how to name another.

    A directory that is not writable is no error here: the first write reports it.
    """
    with contextlib.suppress(OSError):
        if lack := unfit(existing(directory)):
            raise BuildError(
                f"no build works there: its file system {lack}",
                where=os.fspath(directory),
                hint=f"name a directory elsewhere: {elsewhere}",
            )
