"""rootfs.sandbox.remedy: each cause of a refused sandbox has its own remedy."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from rootfs.sandbox.remedy import CHROOT, remedy

MOUNTED = "25 1 254:0 /x / rw,relatime shared:1 - ext4 /dev/vda rw"
BESIDE = "25 1 254:0 /x /boot rw,relatime shared:1 - ext4 /dev/vda rw"


@pytest.mark.parametrize(
    ("stage", "number", "files", "advice"),
    [
        ("unshare", errno.ENOSPC, {}, "sysctl -w user.max_user_namespaces=15000"),
        (
            *("unshare", errno.EPERM, {"proc/sys/user/max_user_namespaces": "0"}),
            "sysctl -w user.max_user_namespaces=15000",
        ),
        (
            *("unshare", errno.EPERM, {"proc/sys/kernel/unprivileged_userns_clone": "0"}),
            "sysctl -w kernel.unprivileged_userns_clone=1",
        ),
        (
            "uid_map",
            errno.EPERM,
            {"proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1"},
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        ("unshare", errno.EPERM, {".dockerenv": ""}, "this is a container whose profile forbids"),
        ("mount", errno.EPERM, {"run/.containerenv": ""}, "--security-opt unmask=ALL (podman)"),
        ("unshare", errno.EINVAL, {}, "CONFIG_USER_NS"),
        ("unshare", errno.ENOSPC, {"proc/sys/user/max_net_namespaces": "0"}, "-w user.max_net_"),
        ("unshare", errno.EPERM, {"proc/self/mountinfo": BESIDE}, CHROOT),
        ("unshare", errno.EPERM, {"proc/self/mountinfo": MOUNTED}, "a build needs user, mount"),
        ("unshare", errno.EPERM, {"proc/self/status": "Name: x\nSeccomp:\t2"}, "seccomp filter"),
        ("mount", errno.EPERM, {"proc/self/status": "Seccomp:\t2"}, "procMount Unmasked"),
        ("mount", errno.EPERM, {"proc/self/status": "Seccomp:\t0"}, "a build needs user, mount"),
        ("unshare", errno.EUSERS, {}, "nested too deeply"),
        ("uid_map", errno.ENOENT, {}, "mount -t proc"),
        ("mount", errno.EPERM, {}, "a build needs user, mount, PID"),
        ("mount", errno.ENOENT, {".dockerenv": ""}, "the build uses is gone"),
        (
            *("unshare", errno.EPERM, {"proc/self/mountinfo": BESIDE, ".dockerenv": ""}),
            CHROOT,
        ),
        (
            *("unshare", errno.EPERM),
            {
                "proc/self/mountinfo": BESIDE,
                "proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1",
            },
            CHROOT,
        ),
        ("setrlimit", errno.EPERM, {}, "ulimit -H"),
    ],
)
def test_the_advice(
    tmp_path: Path, stage: str, number: int, files: dict[str, str], advice: str
) -> None:
    usual = {
        "proc/sys/user/max_user_namespaces": "15000",
        "proc/sys/kernel/unprivileged_userns_clone": "1",
    }
    for name, text in (usual | files).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert advice in remedy(stage, number, proc=tmp_path / "proc", root=tmp_path)


def test_where_nobody_mounted_proc(tmp_path: Path) -> None:
    assert remedy("unshare", errno.EPERM, proc=tmp_path, root=tmp_path) == CHROOT
    assert "namespaces" in remedy("mount", errno.EPERM, proc=tmp_path, root=tmp_path)
