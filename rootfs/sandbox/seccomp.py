"""The system calls that a build may not make, as a seccomp filter.

Namespaces do not isolate everything. The filter refuses the rest, with the errno of a kernel that
lacks it: sockets that bypass the empty network (AF_VSOCK reaches the host of a virtual machine),
the user's keyrings, BPF and perf counters, io_uring (it makes sockets without socket(2)), the
kernel log, and input into the caller's terminal.

It also refuses new namespaces and mounts: in a user namespace a build would have every capability
again, and a mount could show the machine. If sandboxes are made inside, only the calls that
rootfs/sandbox/namespaces.py makes are allowed again.

    tables ──▶ BPF: checks in turn, each with its answer ──▶ rootfs/sandbox/namespaces.py ──▶ kernel
"""

from __future__ import annotations

import errno
import struct
from typing import NamedTuple

from plan.errors import BuildError
from rootfs.sandbox.inherited import answered
from rootfs.sandbox.namespaces import CLONE_NEWCGROUP, NAMESPACES


class _Calls(NamedTuple):
    """Numbers of one architecture. linux/audit.h: AUDIT_ARCH_*; asm/unistd.h: all others."""

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
# On every architecture. io_uring: setup, enter, register. Mounts by descriptor: open_tree,
# move_mount, fsopen, fsconfig, fsmount, fspick, mount_setattr, open_tree_attr. clone3: its flags
# are in memory, which a filter cannot read; without clone3 the C library uses clone.
_MISSING = (425, 426, 427, 428, 429, 430, 431, 432, 433, 442, 467, 435)
_X32 = 0x4000_0000  # x86-64: the calls of the x32 ABI begin at this number
_FAMILIES = (1, 2, 10, 16)  # sys/socket.h: AF_UNIX, AF_INET, AF_INET6, AF_NETLINK
_TYPING = (0x5412, 0x541C)  # asm/ioctls.h: TIOCSTI, TIOCLINUX

# linux/seccomp.h. SPEC_ALLOW: no Spectre mitigation, a build has no secrets from itself.
_SET_FILTER, _SPEC_ALLOW = 1, 4
_ALLOW, _ERRNO = 0x7FFF_0000, 0x0005_0000
_ENOSYS, _EPERM = _ERRNO | errno.ENOSYS, _ERRNO | errno.EPERM
_NOTHING = _ERRNO  # the call returns 0 and does nothing
# Offsets in struct seccomp_data: the call's number, the architecture, and the low 32 bits of the
# first and second argument. The kernel ignores the high bits of a socket family, an ioctl request
# and the flags of clone; for unshare it refuses any high bit.
_NUMBER, _ARCH, _FIRST, _SECOND = 0, 4, 16, 24
# linux/bpf_common.h: load a word; compare with a constant, or look for any of its bits; return.
_LOAD, _EQUAL, _AT_LEAST, _ANY, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06


def refused(machine: str, *, nested: bool = False) -> tuple[int, int, int, str]:
    """The seccomp(2) call that installs the filter on `machine` (as uname(2) names it).

    Returns the number of the call, the operation, the flags, and the program in hexadecimal.
    nested: whether sandboxes are made inside.
    Raises BuildError for an unknown machine.
    """
    if machine not in _MACHINES:
        raise BuildError(
            f"the sandbox does not support {machine}", hint=f"build on {' or '.join(_MACHINES)}"
        )
    calls = _MACHINES[machine]
    families = [_when(_EQUAL, family, _ALLOW) for family in _FAMILIES]
    typing = [_when(_EQUAL, request, _EPERM) for request in _TYPING]
    spaces = [_when(_ANY, NAMESPACES | CLONE_NEWCGROUP, _EPERM)]
    forbidden = calls.forbidden if nested else (*calls.forbidden, *calls.mounting)
    program = [
        _instruction(_LOAD, _ARCH),
        # Another architecture has other numbers: refuse all its calls.
        _instruction(_EQUAL, calls.audit, yes=1),
        _instruction(_RETURN, _ENOSYS),
        _instruction(_LOAD, _NUMBER),
        _when(_AT_LEAST, _X32, _ENOSYS),
        *(_when(_EQUAL, number, _ENOSYS) for number in (*calls.missing, *_MISSING)),
        *(_when(_EQUAL, number, _EPERM) for number in forbidden),
        *(_when(_EQUAL, number, _ERRNO | answer) for number, answer in answered(machine)),
        _asking(calls.unshare, _FIRST, _unshared() if nested else [], _EPERM),
        _asking(calls.clone, _FIRST, spaces, _ALLOW),
        _asking(calls.socket, _FIRST, families, _ERRNO | errno.EAFNOSUPPORT),
        _asking(calls.ioctl, _SECOND, typing, _ALLOW),
        _instruction(_RETURN, _ALLOW),
    ]
    return calls.seccomp, _SET_FILTER, _SPEC_ALLOW, b"".join(program).hex()


def _unshared() -> list[bytes]:
    """The checks for unshare in a nested sandbox: allow exactly NAMESPACES.

    Unsharing control groups returns 0 and does nothing: the owner of a cgroup namespace could mount
    them (cgroup_namespaces(7)). The nested sandbox stays in the outer cgroup namespace.
    """
    return [_when(_EQUAL, NAMESPACES, _ALLOW), _when(_EQUAL, CLONE_NEWCGROUP, _NOTHING)]


def _when(test: int, value: int, answer: int) -> bytes:
    """Return `answer` if the loaded word passes `test` against `value`."""
    return _instruction(test, value, no=1) + _instruction(_RETURN, answer)


def _asking(call: int, argument: int, checks: list[bytes], otherwise: int) -> bytes:
    """For the system call `call`: check one argument, else return `otherwise`."""
    inside = b"".join([_instruction(_LOAD, argument), *checks, _instruction(_RETURN, otherwise)])
    return _instruction(_EQUAL, call, no=len(inside) // 8) + inside


def _instruction(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    """One struct sock_filter; `yes` and `no`: instructions to skip if the test is true or false."""
    return struct.pack("=HBBI", code, yes, no, value)
