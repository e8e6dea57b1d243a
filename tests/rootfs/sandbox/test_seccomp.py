"""The seccomp filter of each architecture: its program is interpreted here, call by call."""

from __future__ import annotations

import errno
import re
import struct
from pathlib import Path

import pytest

from rootfs.sandbox import namespaces
from rootfs.sandbox.seccomp import _MACHINES, refused

HEADERS = {
    "x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
    "aarch64": "/usr/include/asm-generic/unistd.h",
}
FORK, VFORK, THREAD = 17, 0x4111, 0x3D0F00  # flags of clone(2) that C libraries give
ALLOWED, NOTHING = -1, 0

Call = tuple[str, int]
ALWAYS: dict[Call, int] = {
    **{
        (name, 0): errno.ENOSYS
        for name in (
            *("add_key", "request_key", "keyctl", "bpf", "perf_event_open", "userfaultfd"),
            *("syslog", "io_uring_setup", "io_uring_enter", "io_uring_register", "clone3"),
            *("open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick"),
            "mount_setattr",
        )
    },
    **{(name, 0): errno.EPERM for name in ("setns", "chroot", "open_by_handle_at")},
    **{("clone", flags): ALLOWED for flags in (FORK, VFORK, THREAD)},
    **{
        ("clone", FORK | 1 << bit): errno.EPERM
        for bit in range(32)
        if 1 << bit & (namespaces.NAMESPACES | namespaces.CLONE_NEWCGROUP)
    },
    ("read", 0): ALLOWED,
    ("execve", 0): ALLOWED,
    ("seccomp", 1): ALLOWED,
    ("socket", 1): ALLOWED,
    ("socket", 40): errno.EAFNOSUPPORT,
    ("unshare", namespaces.CLONE_NEWUSER): errno.EPERM,
    ("unshare", namespaces.NAMESPACES | namespaces.CLONE_NEWCGROUP): errno.EPERM,
    ("unshare", namespaces.NAMESPACES | 0x80): errno.EPERM,
}
GIVEN_BACK: dict[Call, int] = {
    **{(name, 0): ALLOWED for name in ("mount", "umount2", "pivot_root")},
    ("unshare", namespaces.NAMESPACES): ALLOWED,
    ("unshare", namespaces.CLONE_NEWCGROUP): NOTHING,
}


def number(machine: str, name: str) -> int:
    header = Path(HEADERS[machine])
    if not header.exists():
        pytest.skip(f"the numbers are read from {header} (Debian: linux-libc-dev)")
    found = re.search(rf"^#define __NR(?:3264)?_{name}\s+(\d+)$", header.read_text(), re.MULTILINE)
    assert found, name
    return int(found[1])


def answer(program: bytes, data: bytes) -> int:
    """What seccomp answers to the struct seccomp_data: an errno, 0, or ALLOWED (seccomp(2))."""
    code, at, loaded = list(struct.iter_unpack("=HBBI", program)), 0, 0
    while True:
        operation, yes, no, value = code[at]
        at += 1
        if operation == 0x20:
            (loaded,) = struct.unpack_from("=I", data, value)
        elif operation == 0x06:
            return ALLOWED if value == 0x7FFF_0000 else value - 0x5_0000
        else:
            tests = {0x15: loaded == value, 0x35: loaded >= value, 0x45: bool(loaded & value)}
            at += yes if tests[operation] else no


@pytest.mark.fault("a build on a machine of another architecture", "the same calls are refused")
@pytest.mark.parametrize("nested", [False, True], ids=["build", "nested"])
@pytest.mark.parametrize("machine", _MACHINES)
def test_every_call_gets_its_answer(machine: str, nested: bool) -> None:
    program = bytes.fromhex(refused(machine, nested=nested)[3])
    audit = _MACHINES[machine].audit
    rest = GIVEN_BACK if nested else dict.fromkeys(GIVEN_BACK, errno.EPERM)
    expected = ALWAYS | rest
    found = {}
    for name, argument in expected:
        call = struct.pack("=IIQQ", number(machine, name), audit, 0, argument) + bytes(40)
        found[name, argument] = answer(program, call)
    assert found == expected


@pytest.mark.fault(
    "a build makes calls by the numbers of another architecture", "none is let through"
)
def test_calls_of_another_architecture_are_missing() -> None:
    program = bytes.fromhex(refused("x86_64")[3])
    for number, audit in ((1, 0x4000_0003), (1, 0xC000_00B7), (0x4000_0001, 0xC000_003E)):
        assert answer(program, struct.pack("=II", number, audit) + bytes(56)) == errno.ENOSYS
