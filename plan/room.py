"""The remedy when a file system is full: bytes, inodes and quotas run out separately.

The kernel reports all of them as ENOSPC or EDQUOT (write(2), open(2)).
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

GB = 10**9
_FEW = 10
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def no_room(error: OSError, place: Path) -> str | None:
    """The remedy if `error`, for a file below `place`, says that there is no room; else None."""
    if error.errno not in FULL:
        return None
    if error.errno == errno.EDQUOT:
        return (
            f"your quota on the file system of {place} is used up (see quota -s): remove "
            "some of your files there, or ask for a larger quota"
        )
    there = next((path for path in (place, *place.parents) if path.exists()), Path("/"))
    status = os.statvfs(there)
    if _lacks_inodes(status):
        return (
            f"no inodes are left on the file system of {place} (see df -i), though "
            f"{status.f_bavail * status.f_frsize / GB:.1f} GB are free: remove many small files "
            "there, or use a file system with more inodes"
        )
    return f"free some space on the disk of {place}"


def _lacks_inodes(status: os.statvfs_result) -> bool:
    """Whether hardly any inodes are left, and they are scarcer than bytes.

    The failed step may have freed some since. A file system without a fixed number reports 0
    (btrfs).
    """
    hardly = status.f_favail < max(_FEW, status.f_files // 100)
    scarcer = status.f_favail * status.f_blocks < status.f_bavail * status.f_files
    return bool(status.f_files) and hardly and scarcer
