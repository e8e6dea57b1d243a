"""Runs a command as if another user called it on another machine.

Runs as its own process:

    python3 -m rootfs.sandbox.apply_conditions SPEC COMMAND...

    unshare ─▶ user ─▶ host name, tmpfs mounts ─▶ inherited settings ─▶ umask ─▶ exec

SPEC is JSON. A field that is null or empty changes nothing:

    {"parent": process id of the caller,
     "user": user and group id inside, "host": host name, "umask": int,
     "memory": {directory: {name: target}}, each directory a tmpfs that holds only these links,
     "limit": size of each tmpfs in bytes,
     "above": [directories that get a default ACL and the setgid bit],
     "caller": whether to set what a desktop, nohup, nice, chrt or setarch leave,
     "one_processor": whether the command may use one processor only,
     "personality": whether the kernel says that it is an old one, and lays memory out otherwise}

Files keep their owner: a user namespace only gives the same user another id.
Exits with status 125 if a condition cannot be set. The command dies with its caller.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import stat
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rootfs.sandbox import inherited, namespaces

REFUSED = 125

# rwx for owner and group, nothing for others: linux/posix_acl_xattr.h (version, then the tag,
# permissions and id of each entry).
_NO_ID = 0xFFFF_FFFF
_ENTRIES = ((1, 7, _NO_ID), (4, 7, _NO_ID), (0x20, 0, _NO_ID))
_ACL = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in _ENTRIES)
# linux/personality.h, linux/prctl.h
_ADDR_NO_RANDOMIZE, _PR_SET_TIMERSLACK = 0x0004_0000, 29
# UNAME26, ADDR_COMPAT_LAYOUT. Not PER_LINUX32: it changes the name of the architecture, and this
# project refuses to build then.
_OTHER_KERNEL = 0x0002_0000 | 0x0020_0000
_FOUND = 0xFFFF_FFFF  # asks for the personality
# A value for soft limits without one: bytes, seconds or numbers that no step reaches.
_VAST = 1 << 40


def vary(spec: Mapping[str, Any]) -> None:
    """Apply `spec` to this process. Raises SetupError or OSError."""
    if spec["user"] is not None or spec["host"] or spec["memory"]:
        uid, gid = os.geteuid(), os.getegid()
        namespaces.unshare(
            namespaces.CLONE_NEWUSER | namespaces.CLONE_NEWNS | namespaces.CLONE_NEWUTS
        )
        inside = (uid, gid) if spec["user"] is None else (spec["user"], spec["user"])
        _map(inside, (uid, gid))
        namespaces.mount("", "/", "", namespaces.MS_REC | namespaces.MS_PRIVATE)
    if spec["host"]:
        namespaces.set_host_name(spec["host"])
    for directory, links in spec["memory"].items():
        flags = namespaces.MS_NOSUID | namespaces.MS_NODEV
        namespaces.mount("tmpfs", directory, "tmpfs", flags, f"mode=755,size={spec['limit']}")
        for name, target in links.items():
            Path(directory, name).symlink_to(target)
    for directory in spec["above"]:
        os.setxattr(directory, "system.posix_acl_default", _ACL)
        Path(directory).chmod(stat.S_IMODE(Path(directory).stat().st_mode) | stat.S_ISGID)
    if spec["caller"]:
        _burden()
    if spec["one_processor"]:
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    if spec["personality"]:
        _be(_OTHER_KERNEL)
    if spec["umask"] is not None:
        os.umask(spec["umask"])


def _burden() -> None:
    """Set everything that a child process inherits to an unusual value."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    for _, number, _, _ in inherited.LIMITS:
        soft, hard = resource.getrlimit(number)
        wanted = soft // 2 if soft > 1 else _VAST
        resource.setrlimit(number, (wanted if hard < 0 else min(wanted, hard), hard))
    _be(_ADDR_NO_RANDOMIZE)
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    namespaces.prctl(_PR_SET_TIMERSLACK, 1_000_000)
    os.nice(1)
    score = Path("/proc/self/oom_score_adj")
    score.write_text(str(max(500, int(score.read_text()))))


def _be(flags: int) -> None:
    """Add `flags` to the personality, which the command inherits: personality(2)."""
    found = namespaces.libc.personality(ctypes.c_ulong(_FOUND))
    namespaces.libc.personality(ctypes.c_ulong(found | flags))


def _map(inside: tuple[int, int], outside: tuple[int, int]) -> None:
    """Map one user and one group: user_namespaces(7)."""
    Path("/proc/self/setgroups").write_text("deny")
    for name, new, old in zip(("uid_map", "gid_map"), inside, outside, strict=True):
        Path("/proc/self", name).write_text(f"{new} {old} 1")


def main() -> int:
    spec, command = json.loads(sys.argv[1]), sys.argv[2:]
    try:
        vary(spec)
    except (namespaces.SetupError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    # Last, because the kernel forgets it when credentials change (prctl(2)).
    namespaces.die_with_parent()
    if os.getppid() != spec["parent"]:
        return REFUSED
    os.execvp(command[0], command)
    raise AssertionError("exec does not return")


if __name__ == "__main__":
    sys.exit(main())
