"""The system calls that a build is refused, as a program for the kernel's seccomp.

Namespaces divide most of what a process can reach, not all of it. What they leave is refused here
as a kernel without it would do: sockets that reach past the empty network (AF_VSOCK talks to the
host of a virtual machine), the user's keyrings, kernel programs and counters, io_uring (which
makes sockets without the call for it), the kernel's log, and typing into the terminal that one
was started from.

So are namespaces of a build's own, and mounts: in a user namespace it would have every capability
again, and could mount what shows the machine. Where sandboxes are made inside, the calls that
rootfs/sandbox.py itself makes are given back, and no others.

    tables ──▶ BPF: checks in turn, each with its answer ──▶ rootfs/sandbox.py ──▶ kernel
"""

from __future__ import annotations

import errno
import struct
from typing import NamedTuple

from plan.errors import BuildError
from rootfs.sandbox import CLONE_NEWCGROUP, NAMESPACES


class _Calls(NamedTuple):
    """Numbers of a machine. linux/audit.h: AUDIT_ARCH_*; asm/unistd.h: all others."""

    audit: int
    missing: tuple[int, ...]
    """add_key, request_key, keyctl, bpf, perf_event_open, userfaultfd, syslog"""
    forbidden: tuple[int, ...]
    """setns, chroot, open_by_handle_at"""
    mounting: tuple[int, ...]
    """mount, umount2, pivot_root"""
    unshare: int
    clone: int
    socket: int
    ioctl: int
    seccomp: int


_MACHINES = {
    "x86_64": _Calls(
        0xC000_003E,
        (248, 249, 250, 321, 298, 323, 103),
        (308, 161, 304),
        (165, 166, 155),
        *(272, 56, 41, 16, 317),
    ),
    "aarch64": _Calls(
        0xC000_00B7,
        (217, 218, 219, 280, 241, 282, 116),
        (268, 51, 265),
        (40, 39, 41),
        *(97, 220, 198, 29, 277),
    ),
}
# On every machine. io_uring: setup, enter, register. What mounts by descriptors: open_tree,
# move_mount, fsopen, fsconfig, fsmount, fspick, mount_setattr, open_tree_attr. clone3: its flags
# lie in memory, where no filter looks; without it C libraries take clone.
_MISSING = (425, 426, 427, 428, 429, 430, 431, 432, 433, 442, 467, 435)
_X32 = 0x4000_0000  # on x86-64 the calls with 32-bit pointers have numbers from here on
_FAMILIES = (1, 2, 10, 16)  # sys/socket.h: AF_UNIX, AF_INET, AF_INET6, AF_NETLINK
_TYPING = (0x5412, 0x541C)  # asm/ioctls.h: TIOCSTI, TIOCLINUX

# linux/seccomp.h. The flag: slower branches are for who has secrets inside one process.
_SET_FILTER, _SPEC_ALLOW = 1, 4
_ALLOW, _ERRNO = 0x7FFF_0000, 0x0005_0000
_ENOSYS, _EPERM = _ERRNO | errno.ENOSYS, _ERRNO | errno.EPERM
_NOTHING = _ERRNO  # the call says 0 and does nothing
# Where struct seccomp_data has the call's number, the architecture, the low halves of arguments.
# The low halves alone: of a family or a request, and of the flags of clone, the kernel looks at no
# more; of those of unshare it does, and refuses what has any bit there.
_NUMBER, _ARCH, _FIRST, _SECOND = 0, 4, 16, 24
# linux/bpf_common.h: load a word; compare with a constant, or look for any of its bits; return.
_LOAD, _EQUAL, _AT_LEAST, _ANY, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06


def refused(machine: str, *, nested: bool = False) -> tuple[int, int, int, str]:
    """The call that makes the kernel refuse them on `machine` (as uname(2) names it).

    That is the number of seccomp(2), the operation, its flags, and the program in hexadecimal.
    nested: whether sandboxes are made inside.
    Raises BuildError for a machine whose calls are not known.
    """
    if machine not in _MACHINES:
        raise BuildError(
            f"no sandbox is known for {machine}", hint=f"build on {' or '.join(_MACHINES)}"
        )
    calls = _MACHINES[machine]
    families = [_when(_EQUAL, family, _ALLOW) for family in _FAMILIES]
    typing = [_when(_EQUAL, request, _EPERM) for request in _TYPING]
    spaces = [_when(_ANY, NAMESPACES | CLONE_NEWCGROUP, _EPERM)]
    forbidden = calls.forbidden if nested else (*calls.forbidden, *calls.mounting)
    program = [
        _instruction(_LOAD, _ARCH),
        # Calls of another architecture have other numbers: none is let through.
        _instruction(_EQUAL, calls.audit, yes=1),
        _instruction(_RETURN, _ENOSYS),
        _instruction(_LOAD, _NUMBER),
        _when(_AT_LEAST, _X32, _ENOSYS),
        *(_when(_EQUAL, number, _ENOSYS) for number in (*calls.missing, *_MISSING)),
        *(_when(_EQUAL, number, _EPERM) for number in forbidden),
        _asking(calls.unshare, _FIRST, _unshared() if nested else [], _EPERM),
        _asking(calls.clone, _FIRST, spaces, _ALLOW),
        _asking(calls.socket, _FIRST, families, _ERRNO | errno.EAFNOSUPPORT),
        _asking(calls.ioctl, _SECOND, typing, _ALLOW),
        _instruction(_RETURN, _ALLOW),
    ]
    return calls.seccomp, _SET_FILTER, _SPEC_ALLOW, b"".join(program).hex()


def _unshared() -> list[bytes]:
    """What a sandbox inside a sandbox may unshare: the namespaces that it consists of.

    Not control groups: who owns their namespace may mount them (cgroup_namespaces(7)). It stays in
    the namespace of the outer one, and is answered as by a kernel without control groups.
    """
    return [_when(_EQUAL, NAMESPACES, _ALLOW), _when(_EQUAL, CLONE_NEWCGROUP, _NOTHING)]


def _when(test: int, value: int, answer: int) -> bytes:
    """Give `answer` if what was loaded is, or is at least, `value`."""
    return _instruction(test, value, no=1) + _instruction(_RETURN, answer)


def _asking(call: int, argument: int, checks: list[bytes], otherwise: int) -> bytes:
    """For the call numbered `call`: the checks of one argument, and the answer after them."""
    inside = b"".join([_instruction(_LOAD, argument), *checks, _instruction(_RETURN, otherwise)])
    return _instruction(_EQUAL, call, no=len(inside) // 8) + inside


def _instruction(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    """One struct sock_filter; `yes` and `no` are how many to skip after a comparison."""
    return struct.pack("=HBBI", code, yes, no, value)
