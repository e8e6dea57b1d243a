"""Namespace and mount attempts of a build, also of one that makes sandboxes inside.

Rows are those of tests/rootfs/sandbox/test_escapes.py: a name, an expression of
tests/rootfs/inside.py, its value, and the value in words. If sandboxes are made inside, an attempt
runs as `master`: user 0 of inner namespaces, with every capability.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rootfs.sandbox import namespaces
from rootfs.sandbox.seccomp import _MACHINES

KINDS = {
    "user": namespaces.CLONE_NEWUSER,
    "mnt": namespaces.CLONE_NEWNS,
    "pid": namespaces.CLONE_NEWPID,
    "net": namespaces.CLONE_NEWNET,
    "uts": namespaces.CLONE_NEWUTS,
    "ipc": namespaces.CLONE_NEWIPC,
    "cgroup": namespaces.CLONE_NEWCGROUP,
    "time": 0x80,  # linux/sched.h: CLONE_NEWTIME, which clone cannot ask for
}
# All that a user namespace may mount somewhere, and what shows the machine.
FILE_SYSTEMS = (
    *("cgroup", "cgroup2", "proc", "sysfs", "overlay", "fuse", "mqueue", "devpts", "bpf", "tmpfs"),
    *("ramfs", "binfmt_misc", "securityfs", "debugfs", "tracefs", "configfs", "devtmpfs", "pstore"),
    *("hugetlbfs", "efivarfs", "ext4"),
)
FACTS = {
    "kinds": KINDS,
    "file_systems": FILE_SYSTEMS,
    "namespaces": namespaces.NAMESPACES,
    "clone": _MACHINES[os.uname().machine].clone,
    "outside": os.fspath(Path("/proc/self/ns/cgroup").readlink()),
    "attack": KINDS["user"] | KINDS["mnt"] | KINDS["cgroup"],
}

Row = tuple[str, str, Any, str]


def all_of(names: Any, answer: Any) -> dict[str, Any]:
    return dict.fromkeys(names, answer)


BOTH: list[Row] = [
    (
        "the control groups of who builds, by a user namespace",
        "unshared(attack, lambda: mounted('cgroup2'))",
        "EPERM",
        "refused",
    ),
    (
        "namespaces of every kind, by clone",
        "{kind: cloned(flag) for kind, flag in kinds.items() if kind != 'time'}",
        all_of(KINDS.keys() - {"time"}, "EPERM"),
        "refused",
    ),
    (
        "clone3, whose flags no filter sees",
        "call(435, 0, 0)",
        "ENOSYS",
        "refused: C libraries take clone",
    ),
    (
        "joining a namespace, of every kind",
        "{kind: joined(kind) for kind in kinds}",
        all_of(KINDS, "EPERM"),
        "refused",
    ),
    (
        "mounting by descriptors (fsopen, move_mount, mount_setattr, ...)",
        "[call(n, -1, 0, 0, 0, 0) for n in (428, 429, 430, 431, 432, 433, 442, 467)]",
        ["ENOSYS"] * 8,
        "refused",
    ),
    (
        "mounting without a user namespace, of every type",
        "{kind: mounted(kind) for kind in file_systems}",
        all_of(FILE_SYSTEMS, "EPERM"),
        "refused",
    ),
    (
        "a process, a thread, a process that shares memory until it starts (vfork)",
        "started()",
        [0, 0, 0],
        "work",
    ),
    (
        "its control group's path",
        "[groups(), os.readlink('/proc/self/ns/cgroup') == outside]",
        [["/"], False],
        "hidden: a namespace of its own",
    ),
]
BUILD: list[Row] = [
    *BOTH,
    (
        "namespaces of every kind, by unshare",
        "{kind: unshared(flag) for kind, flag in kinds.items()}",
        all_of(KINDS, "EPERM"),
        "refused",
    ),
    ("all namespaces that a sandbox has", "master(lambda: 0)", "EPERM", "refused"),
    (
        "unmounting, remounting, another root",
        "[called(libc.umount2(b'/tmp', 2)), called(libc.pivot_root(b'/tmp', b'/tmp')),"
        " called(libc.mount(None, b'/usr', None, 0x1020, None))]",
        ["EPERM"] * 3,
        "refused",
    ),
    (
        "how many namespaces it may make",
        "{kind: int(text(f'/proc/sys/user/max_{kind}_namespaces')) for kind in kinds}",
        all_of(KINDS, 0),
        "none of any kind, also by a kernel without seccomp",
    ),
]
# Of some the kernel has none, or gives them to no user namespace: then nothing is seen either.
OWN: dict[str, tuple[str, list[str]]] = {
    "tmpfs": ("mounted('tmpfs', 'size=64k')", []),
    "ramfs": ("mounted('ramfs')", []),
    "mqueue": ("mounted('mqueue')", []),
    "devpts": ("mounted('devpts')", ["ptmx"]),
    "overlay": ("mounted('overlay', 'userxattr,lowerdir=/at:/build')", ["script.py"]),
    "bpf": ("mounted('bpf')", []),
    "binfmt_misc": ("mounted('binfmt_misc')", ["register", "status"]),
    "proc": ("[each for each in mounted('proc', flags=1) if each.isdigit()]", ["1"]),
}
NEEDED = ("tmpfs", "proc")
NESTED: list[Row] = [
    *BOTH,
    (
        "namespaces of one kind, by unshare",
        "{kind: unshared(flag) for kind, flag in kinds.items() if kind != 'cgroup'}",
        all_of(KINDS.keys() - {"cgroup"}, "EPERM"),
        "refused: all that a sandbox has, or none",
    ),
    (
        "a namespace of control groups",
        "[unshared(kinds['cgroup'], own_groups), own_groups()]",
        [True, True],
        "none is made, as by a kernel without control groups",
    ),
    (
        "all namespaces that a sandbox has, and another root",
        "master(lambda: [mounted('tmpfs'), called(libc.pivot_root(b'/tmp/tmpfs', b'/tmp/tmpfs'))])",
        [[], 0],
        "given: it is there for that",
    ),
    *(
        (
            f"mounting {kind}",
            f"master(lambda: {given} in {[own] if kind in NEEDED else [own, 'EPERM', 'ENODEV']})",
            True,
            "one of its own; nothing of the machine is in it",
        )
        for kind, (given, own) in OWN.items()
    ),
    *(
        (
            f"mounting {kind}",
            f"master(lambda: isinstance(mounted({kind!r}), str))",
            True,
            "refused",
        )
        for kind in FILE_SYSTEMS
        if kind not in OWN
    ),
    ("mounting proc, to write", "master(lambda: mounted('proc'))", "EPERM", "refused"),
    (
        "making the proc that it mounted writable",
        "master(lambda: [mounted('proc', flags=1) and"
        " called(libc.mount(None, b'/tmp/proc', None, n, None)) for n in (0x20, 0x1020)])",
        ["EPERM"] * 2,
        "refused",
    ),
    (
        "the machine's files in /proc",
        "[writable_machine_files(), master(writable_machine_files)]",
        [[], []],
        "none can be written that not everybody may write",
    ),
    (
        "uncovering /proc/sys",
        "master(lambda: [called(libc.umount2(path, 2)) for path in (b'/proc/sys', b'/dev/proc')])",
        ["EINVAL"] * 2,
        "refused",
    ),
    (
        "making /usr writable",
        "master(lambda: called(libc.mount(None, b'/usr', None, 0x1020, None)))",
        "EPERM",
        "refused",
    ),
    (
        "more room in /dev/shm",
        "master(lambda: called(libc.mount(None, b'/dev/shm', None, 0x20, b'size=1g')))",
        "EPERM",
        "refused",
    ),
    (
        "chroot, and a file by its handle",
        "master(lambda: [called(libc.chroot(b'/tmp')), by_handle()])",
        ["EPERM"] * 2,
        "refused",
    ),
    (
        "capabilities",
        "[status('CapEff'), status('CapBnd')]",
        ["CapEff:\t0000000080000000", "CapBnd:\t0000000080000000"],
        "none but CAP_SETFCAP, for the users of its namespaces",
    ),
]
