"""Runs a command as if another user called it on another machine.

Runs as its own process:

    python3 -m rootfs.varied SPEC COMMAND...

    unshare ─▶ user ─▶ host name, folders in memory ─▶ what is inherited ─▶ umask ─▶ exec

SPEC is JSON; what is null or empty stays as it is: {"parent": process id of who called, "user":
the user and group id that the command finds itself to be, "host": its host name, "umask": int,
"memory": {folder: {name: target}}: folders that are empty and in memory for it, but for these
links, "limit": bytes that each of those may hold, "above": folders that hand down a default ACL
and their group, "caller": whether it inherits what a desktop, nohup, nice or setarch leave behind,
"one_processor": whether it may use one only}.

Files belong to whom they belonged to before: a user namespace gives another name to the same user.
Ends with status 125 if something of it cannot be had. The command dies with who called.
"""

from __future__ import annotations

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

from rootfs import sandbox

REFUSED = 125

# Read, write and enter for owner and group, nothing for others: linux/posix_acl_xattr.h (version,
# then tag, rights and id of each entry).
_NO_ID = 0xFFFF_FFFF
_ENTRIES = ((1, 7, _NO_ID), (4, 7, _NO_ID), (0x20, 0, _NO_ID))
_ACL = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in _ENTRIES)
# linux/personality.h, linux/prctl.h
_ADDR_NO_RANDOMIZE, _PR_SET_TIMERSLACK = 0x0004_0000, 29


def vary(spec: Mapping[str, Any]) -> None:
    """Bring about what `spec` says, for this process. Raises SetupError or OSError."""
    if spec["user"] is not None or spec["host"] or spec["memory"]:
        uid, gid = os.geteuid(), os.getegid()
        sandbox.unshare(sandbox.CLONE_NEWUSER | sandbox.CLONE_NEWNS | sandbox.CLONE_NEWUTS)
        inside = (uid, gid) if spec["user"] is None else (spec["user"], spec["user"])
        _map(inside, (uid, gid))
        sandbox.mount("", "/", "", sandbox.MS_REC | sandbox.MS_PRIVATE)
    if spec["host"]:
        sandbox.set_host_name(spec["host"])
    for folder, links in spec["memory"].items():
        flags = sandbox.MS_NOSUID | sandbox.MS_NODEV
        sandbox.mount("tmpfs", folder, "tmpfs", flags, f"mode=755,size={spec['limit']}")
        for name, target in links.items():
            Path(folder, name).symlink_to(target)
    for folder in spec["above"]:
        os.setxattr(folder, "system.posix_acl_default", _ACL)
        Path(folder).chmod(stat.S_IMODE(Path(folder).stat().st_mode) | stat.S_ISGID)
    if spec["caller"]:
        _burden()
    if spec["one_processor"]:
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    if spec["umask"] is not None:
        os.umask(spec["umask"])


def _burden() -> None:
    """Set what processes hand down to those that they start, to what is not usual."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    for number in (resource.RLIMIT_NOFILE, resource.RLIMIT_STACK):
        soft, hard = resource.getrlimit(number)
        resource.setrlimit(number, (soft // 2 if soft > 1 else 1 << 20, hard))
    sandbox.libc.personality(_ADDR_NO_RANDOMIZE)
    sandbox.prctl(_PR_SET_TIMERSLACK, 1_000_000)
    os.nice(1)
    score = Path("/proc/self/oom_score_adj")
    score.write_text(str(max(500, int(score.read_text()))))


def _map(inside: tuple[int, int], outside: tuple[int, int]) -> None:
    """One user and one group, by user_namespaces(7)."""
    Path("/proc/self/setgroups").write_text("deny")
    for name, new, old in zip(("uid_map", "gid_map"), inside, outside, strict=True):
        Path("/proc/self", name).write_text(f"{new} {old} 1")


def main() -> int:
    spec, command = json.loads(sys.argv[1]), sys.argv[2:]
    try:
        vary(spec)
    except (sandbox.SetupError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    # Last, because the kernel forgets it when credentials change (prctl(2)).
    sandbox.die_with_parent()
    if os.getppid() != spec["parent"]:
        return REFUSED
    os.execvp(command[0], command)
    raise AssertionError("exec does not return")


if __name__ == "__main__":
    sys.exit(main())
