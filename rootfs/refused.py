"""The system calls that a build is refused, as a program for the kernel's seccomp.

Namespaces divide most of what a process can reach, not all of it. What they leave is refused here
as a kernel without it would do: sockets that reach past the empty network (AF_VSOCK talks to the
host of a virtual machine), the user's keyrings, kernel programs and counters, io_uring (which
makes sockets without the call for it), and typing into the terminal that one was started from.

    tables ──▶ BPF: checks in turn, each with its answer ──▶ rootfs/sandbox.py ──▶ kernel
"""

from __future__ import annotations

import errno
import struct

from plan.errors import BuildError
from rootfs.inherited import answered

# linux/audit.h: AUDIT_ARCH_*. asm/unistd.h: the numbers of the calls
#   add_key, request_key, keyctl, bpf, perf_event_open, userfaultfd: refused
#   socket, ioctl: refused by their arguments; and seccomp itself.
_MACHINES = {
    "x86_64": (0xC000_003E, (248, 249, 250, 321, 298, 323), (41, 16, 317)),
    "aarch64": (0xC000_00B7, (217, 218, 219, 280, 241, 282), (198, 29, 277)),
}
_IO_URING = (425, 426, 427)  # setup, enter, register: on every machine
_X32 = 0x4000_0000  # on x86-64 the calls with 32-bit pointers have numbers from here on
_FAMILIES = (1, 2, 10, 16)  # sys/socket.h: AF_UNIX, AF_INET, AF_INET6, AF_NETLINK
_TYPING = (0x5412, 0x541C)  # asm/ioctls.h: TIOCSTI, TIOCLINUX

# linux/seccomp.h. The flag: slower branches are for who has secrets inside one process.
_SET_FILTER, _SPEC_ALLOW = 1, 4
_ALLOW, _ERRNO = 0x7FFF_0000, 0x0005_0000
_MISSING = _ERRNO | errno.ENOSYS
# Where struct seccomp_data has the call's number, the architecture, the low halves of arguments.
# The low halves alone: of a family or a request the kernel looks at no more.
_NUMBER, _ARCH, _FIRST, _SECOND = 0, 4, 16, 24
# linux/bpf_common.h: load a word, compare with a constant, return a constant.
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06


def refused(machine: str) -> tuple[int, int, int, str]:
    """The call that makes the kernel refuse them on `machine` (as uname(2) names it).

    That is the number of seccomp(2), the operation, its flags, and the program in hexadecimal.
    Raises BuildError for a machine whose calls are not known.
    """
    if machine not in _MACHINES:
        raise BuildError(
            f"no sandbox is known for {machine}", hint=f"build on {' or '.join(_MACHINES)}"
        )
    audit, numbers, (socket, ioctl, seccomp) = _MACHINES[machine]
    families = [_when(_EQUAL, family, _ALLOW) for family in _FAMILIES]
    typing = [_when(_EQUAL, request, _ERRNO | errno.EPERM) for request in _TYPING]
    program = [
        _instruction(_LOAD, _ARCH),
        # Calls of another architecture have other numbers: none is let through.
        _instruction(_EQUAL, audit, yes=1),
        _instruction(_RETURN, _MISSING),
        _instruction(_LOAD, _NUMBER),
        _when(_AT_LEAST, _X32, _MISSING),
        *(_when(_EQUAL, number, _MISSING) for number in (*numbers, *_IO_URING)),
        *(_when(_EQUAL, number, _ERRNO | answer) for number, answer in answered(machine)),
        _asking(socket, _FIRST, families, _ERRNO | errno.EAFNOSUPPORT),
        _asking(ioctl, _SECOND, typing, _ALLOW),
        _instruction(_RETURN, _ALLOW),
    ]
    return seccomp, _SET_FILTER, _SPEC_ALLOW, b"".join(program).hex()


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
