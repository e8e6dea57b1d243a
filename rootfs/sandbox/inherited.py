"""The process attributes of a build: tables for rootfs/sandbox/namespaces.py.

Namespaces do not change what a process inherits from its caller. Attributes that a build can see
are set to fixed values. Others stay as the user or the machine set them: nice value, I/O priority,
processors.
"""

from __future__ import annotations

import errno
import resource

UNLIMITED = resource.RLIM_INFINITY
_RLIMIT_LOCKS = 10  # asm-generic/resource.h; Python has no name for it

# Name (as in /proc/self/limits), number, soft and hard limit, in bytes, seconds or numbers. No
# limit is higher than what the kernel gives its first process (asm-generic/resource.h).
LIMITS = (
    ("cpu time", resource.RLIMIT_CPU, UNLIMITED, UNLIMITED),
    ("file size", resource.RLIMIT_FSIZE, UNLIMITED, UNLIMITED),
    ("data size", resource.RLIMIT_DATA, UNLIMITED, UNLIMITED),
    ("resident set", resource.RLIMIT_RSS, UNLIMITED, UNLIMITED),
    ("address space", resource.RLIMIT_AS, UNLIMITED, UNLIMITED),
    ("file locks", _RLIMIT_LOCKS, UNLIMITED, UNLIMITED),
    ("realtime timeout", resource.RLIMIT_RTTIME, UNLIMITED, UNLIMITED),
    ("stack size", resource.RLIMIT_STACK, 8 << 20, 8 << 20),
    ("open files", resource.RLIMIT_NOFILE, 1024, 4096),
    ("locked memory", resource.RLIMIT_MEMLOCK, 64 << 10, 64 << 10),
    ("msgqueue size", resource.RLIMIT_MSGQUEUE, 819_200, 819_200),
    ("pending signals", resource.RLIMIT_SIGPENDING, 1024, 1024),
    ("nice priority", resource.RLIMIT_NICE, 0, 0),
    ("realtime priority", resource.RLIMIT_RTPRIO, 0, 0),
)
# Files in /proc/self (proc(5)); some kernels lack some. The values are the usual ones, except
# oom_score_adj: the kernel kills a build first when memory is short, and no user can lower it.
FILES = {"oom_score_adj": "1000", "coredump_filter": "0x33", "timerslack_ns": "50000"}

# Numbers of system calls (asm/unistd.h) and their fixed answers. A build sees no supplementary
# groups. It sees no extended attributes (xattr(7)): a security module or a parent directory of the
# host may set them.
_NO_GROUPS, _NO_ATTRIBUTES = 0, errno.ENOTSUP
_GETGROUPS = {"x86_64": 115, "aarch64": 158}
_ATTRIBUTES = {"x86_64": range(188, 200), "aarch64": range(5, 17)}
_ATTRIBUTES_AT = range(463, 467)  # on every machine
_SIGACTION = {"x86_64": 13, "aarch64": 134}


def answered(machine: str) -> list[tuple[int, int]]:
    """System calls, by number on `machine`, with the errno they return; 0 is success."""
    attributes = (*_ATTRIBUTES[machine], *_ATTRIBUTES_AT)
    calls = [(number, _NO_ATTRIBUTES) for number in attributes]
    return [(_GETGROUPS[machine], _NO_GROUPS), *calls]


def sigaction(machine: str) -> int:
    """The number of rt_sigaction(2) on `machine`.

    The C library's function refuses the signals that it uses itself; a caller can ignore those too.
    """
    return _SIGACTION[machine]
