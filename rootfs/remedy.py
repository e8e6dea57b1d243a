"""What to tell somebody whose kernel or container refuses the sandbox.

The stage that failed, the errno and a few files under /proc tell the cases apart.
"""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

SYSCTL = "as root: sysctl -w {name}={value} (to keep it: put {name}={value} into /etc/sysctl.d/)"
OPTIONS = (
    "start it with --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
    "--security-opt systempaths=unconfined (Docker) or --security-opt unmask=ALL (podman)"
)
CONTAINER = f"this is a container whose profile forbids namespaces: {OPTIONS}"
# Neither Kubernetes nor systemd-nspawn leave a file that says so, but both filter system calls.
FILTERED = (
    "a seccomp filter refuses it, as those of containers and service managers do: have a build "
    f"run without it. Docker and podman: {OPTIONS}; Kubernetes: seccompProfile Unconfined and "
    "procMount Unmasked; systemd: an empty SystemCallFilter= and no RestrictNamespaces="
)
APPARMOR = (
    SYSCTL.format(name="kernel.apparmor_restrict_unprivileged_userns", value=0)
    + "; or, for this Python alone, an AppArmor profile with the rule `userns,`"
)
CHROOT = (
    "in a chroot no user namespace can be made (user_namespaces(7)): enter it by "
    "`unshare --mount` and `pivot_root`, by systemd-nspawn, or build outside of it"
)
LIMITS = ("user", "mnt", "pid", "net", "uts", "ipc")


def remedy(stage: str, number: int, *, proc: Path = Path("/proc"), root: Path = Path("/")) -> str:
    """A sentence for the failed `stage` of rootfs/sandbox.py with errno `number`."""
    if stage in ("setgroups", "uid_map", "gid_map") and number == errno.ENOENT:
        return "as root: mount -t proc proc /proc (without it no user can be mapped)"
    if number == errno.ENOENT:
        return "a folder that it was laid out with is gone: `doit forget` the package, and build it"
    if stage == "unshare" and number == errno.EUSERS:
        return "namespaces are nested too deeply here: build in an outer one"
    if limit := _limit(number, proc):
        return SYSCTL.format(name=f"user.{limit}", value=15000)
    if stage == "unshare" and number == errno.EPERM and _in_chroot(proc):
        return CHROOT
    if _sysctl(proc, "kernel/unprivileged_userns_clone") == "0":
        return SYSCTL.format(name="kernel.unprivileged_userns_clone", value=1)
    if _sysctl(proc, "kernel/apparmor_restrict_unprivileged_userns") == "1":
        # Ubuntu 23.10 and later: unshare itself works, the map or the first mount does not.
        return APPARMOR
    if any((root / name).exists() for name in (".dockerenv", "run/.containerenv")):
        return CONTAINER
    if stage == "unshare" and number == errno.EINVAL:
        return "this kernel is built without user namespaces (CONFIG_USER_NS)"
    if _text(proc / "self/status", r"^Seccomp:\s*(\d)") == "2":
        return FILTERED
    return (
        "a build needs user, mount, PID, network, UTS and IPC namespaces; if this is a container: "
        + OPTIONS
    )


def _limit(number: int, proc: Path) -> str:
    """The limit on namespaces that was reached, or ""."""
    names = [f"max_{kind}_namespaces" for kind in LIMITS]
    none = [name for name in names if _sysctl(proc, f"user/{name}") == "0"]
    # Too many namespaces is told as ENOSPC too (user_namespaces(7)).
    return next(iter(none), names[0] if number == errno.ENOSPC else "")


def _in_chroot(proc: Path) -> bool:
    """Whether this root is a folder that somebody changed to, where unshare(2) gives EPERM.

    Either it is no mount point, or nobody mounted /proc, which all containers and systems have.
    Where it is one, no seccomp filter is what else could be to blame (user_namespaces(7)).
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
