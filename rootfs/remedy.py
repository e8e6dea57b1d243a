"""What to tell somebody whose kernel or container refuses the sandbox.

The stage that failed, the errno and a few files under /proc tell the cases apart.
"""

from __future__ import annotations

import errno
from pathlib import Path

SYSCTL = "as root: sysctl -w {name}={value} (to keep it: put {name}={value} into /etc/sysctl.d/)"
CONTAINER = (
    "this is a container whose profile forbids namespaces: start it with "
    "--security-opt seccomp=unconfined --security-opt apparmor=unconfined "
    "--security-opt systempaths=unconfined (Docker) or --security-opt unmask=ALL (podman)"
)


def remedy(stage: str, number: int, *, proc: Path = Path("/proc"), root: Path = Path("/")) -> str:
    """A sentence for the failed `stage` of rootfs/sandbox.py with errno `number`."""
    if stage == "files" and number in (errno.ENOSPC, errno.EDQUOT):
        return "free some space where the work directory is"
    if number == errno.ENOENT:
        return "a folder that it was laid out with is gone: `doit forget` the package, and build it"
    # Too many namespaces is told as ENOSPC too (user_namespaces(7)).
    if _sysctl(proc, "user/max_user_namespaces") == "0" or number == errno.ENOSPC:
        return SYSCTL.format(name="user.max_user_namespaces", value=15000)
    if _sysctl(proc, "kernel/unprivileged_userns_clone") == "0":
        return SYSCTL.format(name="kernel.unprivileged_userns_clone", value=1)
    if _sysctl(proc, "kernel/apparmor_restrict_unprivileged_userns") == "1":
        # Ubuntu 23.10 and later: unshare itself works, the map or the first mount does not.
        return SYSCTL.format(name="kernel.apparmor_restrict_unprivileged_userns", value=0)
    if any((root / name).exists() for name in (".dockerenv", "run/.containerenv")):
        return CONTAINER
    if stage == "unshare" and number == errno.EINVAL:
        return "this kernel is built without user namespaces (CONFIG_USER_NS)"
    return (
        "a build needs user, mount, PID, network, UTS and IPC namespaces; if this is a container: "
        + CONTAINER.removeprefix("this is a container whose profile forbids namespaces: ")
    )


def _sysctl(proc: Path, name: str) -> str | None:
    try:
        return (proc / "sys" / name).read_text().strip()
    except OSError:
        return None
