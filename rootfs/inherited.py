"""What a build finds of its process whatever that of its caller was: tables for rootfs/sandbox.py.

Namespaces do not touch what a process inherits. What a build may not see of it is set to one value;
the rest is the user's (nice value, priority of input and output, processors) or the machine's, and
stays.
"""

from __future__ import annotations

import errno
import resource

UNLIMITED = resource.RLIM_INFINITY
_RLIMIT_LOCKS = 10  # asm-generic/resource.h; Python has no name for it

# Name (as in /proc/self/limits), number, soft and hard limit, in bytes, seconds or numbers. None is
# more than what the kernel gives its first process (asm-generic/resource.h).
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
# Files of /proc/self (proc(5)), those of them that the kernel has: the usual values, but that a
# build is what the kernel ends first when memory is short. Nobody may set that lower.
FILES = {"oom_score_adj": "1000", "coredump_filter": "0x33", "timerslack_ns": "50000"}

# Numbers of system calls (asm/unistd.h), and how the kernel answers: no further groups, whichever
# the user is in; and no attributes of files beside their modes (xattr(7)), neither what a security
# module sets nor what the folder above hands down.
_NO_GROUPS, _NO_ATTRIBUTES = 0, errno.ENOTSUP
_GETGROUPS = {"x86_64": 115, "aarch64": 158}
_ATTRIBUTES = {"x86_64": range(188, 200), "aarch64": range(5, 17)}
_ATTRIBUTES_AT = range(463, 467)  # on every machine
_SIGACTION = {"x86_64": 13, "aarch64": 134}


def answered(machine: str) -> list[tuple[int, int]]:
    """Calls, by their number on `machine`, with the errno that they give; 0 is success."""
    attributes = (*_ATTRIBUTES[machine], *_ATTRIBUTES_AT)
    calls = [(number, _NO_ATTRIBUTES) for number in attributes]
    return [(_GETGROUPS[machine], _NO_GROUPS), *calls]


def sigaction(machine: str) -> int:
    """The number of rt_sigaction(2) on `machine`.

    C libraries leave out the signals that they use themselves, and those too can be ignored.
    """
    return _SIGACTION[machine]
