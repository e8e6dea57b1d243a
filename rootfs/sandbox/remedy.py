"""What to advise when the kernel or a container refuses the sandbox.

The failed stage, the errno and a few files in /proc distinguish the cases.
"""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from plan.typed import typed

SYSCTL = "as root: sysctl -w {name}={value} (to keep it: put {name}={value} into /etc/sysctl.d/)"
OPTIONS = (
    "start it with --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
    "--security-opt systempaths=unconfined (Docker) or --security-opt unmask=ALL (podman)"
)
CONTAINER = f"this is a container whose profile forbids namespaces: {OPTIONS}"
# Kubernetes and systemd-nspawn leave no marker file, but both filter system calls.
FILTERED = (
    "a seccomp filter of a container or service manager refuses it: run the build without it. "
    f"Docker and podman: {OPTIONS}; Kubernetes: seccompProfile Unconfined and "
    "procMount Unmasked; systemd: an empty SystemCallFilter= and no RestrictNamespaces="
)
APPARMOR = (
    SYSCTL.format(name="kernel.apparmor_restrict_unprivileged_userns", value=0)
    + "; or, for this Python only, an AppArmor profile with the rule `userns,`"
)
CHROOT = (
    "a user namespace cannot be made in a chroot (user_namespaces(7)): enter the directory with "
    "`unshare --mount` and `pivot_root` or with systemd-nspawn, or build outside of it"
)
LIMITS = ("user", "mnt", "pid", "net", "uts", "ipc", "cgroup")


def remedy(stage: str, number: int, *, proc: Path = Path("/proc"), root: Path = Path("/")) -> str:
    """The remedy for a `stage` of rootfs/sandbox/namespaces.py that failed with errno `number`."""
    if stage in ("setgroups", "uid_map", "gid_map") and number == errno.ENOENT:
        return "as root: mount -t proc proc /proc (a user namespace needs it)"
    if stage == "setrlimit":
        return "start it without that limit (ulimit -H -a shows it); only root can raise it"
    if number == errno.ENOENT:
        return f"a directory that the build uses is gone: {typed('forget pkg:NAME')}, and build it"
    if stage == "unshare" and number == errno.EUSERS:
        return "namespaces are nested too deeply here: build in an outer container or sandbox"
    if limit := _limit(number, proc):
        return SYSCTL.format(name=f"user.{limit}", value=15000)
    if stage == "unshare" and number == errno.EPERM and _in_chroot(proc):
        return CHROOT
    if _sysctl(proc, "kernel/unprivileged_userns_clone") == "0":
        return SYSCTL.format(name="kernel.unprivileged_userns_clone", value=1)
    if _sysctl(proc, "kernel/apparmor_restrict_unprivileged_userns") == "1":
        # Ubuntu 23.10 and later: unshare works, but the uid map or the first mount fails.
        return APPARMOR
    if any((root / name).exists() for name in (".dockerenv", "run/.containerenv")):
        return CONTAINER
    if stage == "unshare" and number == errno.EINVAL:
        return "this kernel is built without user namespaces (CONFIG_USER_NS)"
    if _text(proc / "self/status", r"^Seccomp:\s*(\d)") == "2":
        return FILTERED
    return (
        "a build needs user, mount, PID, network, UTS, IPC and control group namespaces; "
        "if this is a container: " + OPTIONS
    )


def _limit(number: int, proc: Path) -> str:
    """The limit on namespaces that is reached, or ""."""
    names = [f"max_{kind}_namespaces" for kind in LIMITS]
    none = [name for name in names if _sysctl(proc, f"user/{name}") == "0"]
    # ENOSPC means too many namespaces (user_namespaces(7)).
    return next(iter(none), names[0] if number == errno.ENOSPC else "")


def _in_chroot(proc: Path) -> bool:
    """Whether this root is a chroot: unshare(2) fails with EPERM there.

    The root of a chroot is no mount point, or it has no /proc. If root gets EPERM without a seccomp
    filter, only a chroot can be the cause (user_namespaces(7)).
    """
    mounts = proc / "self/mountinfo"
    if not mounts.is_file():
        return not (proc / "sys").exists()
    unfiltered = os.geteuid() == 0 and _text(proc / "self/status", r"^Seccomp:\s*(\d)") == "0"
    return unfiltered or _text(mounts, r"^\S+ \S+ \S+ \S+ (/) ") is None


def _sysctl(proc: Path, name: str) -> str | None:
    return _text(proc / "sys" / name, r"^\s*(\S*)")


def _text(path: Path, pattern: str) -> str | None:
    """The first group of `pattern` in the file, or None."""
    try:
        found = re.search(pattern, path.read_text(), re.MULTILINE)
    except OSError:
        return None
    return found[1] if found else None
