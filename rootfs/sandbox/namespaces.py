"""Runs commands in namespaces of their own: no network, no host file, no privilege.

Runs as its own process, with the standard library only:

    python3 -I -S rootfs/sandbox/namespaces.py SPEC.json REPORT_FD PARENT_PID

    unshare ─▶ uid map ─▶ fork ─▶ [pid 1] mounts ─▶ pivot_root ─▶ drop privilege ─▶ commands
       └── waits, dies with its parent ──┘

A command sees only the mounts of the specification, an empty network (unless it is online), its own
processes, a fixed host name and the given environment. It has no capability and cannot gain one. It
has no terminal unless the specification is interactive. No process that it starts outlives it. What
the kernel refuses is an error, never a weaker sandbox (refuse_calls has one exception).

The specification: {"base": directory to mount on, "root": mount, "mounts": [mount...],
"environment": {}, "hostname": str, "commands": [{"argv": [], "cwd": str}...], "log": path or null,
"interactive": bool, "online": null, or the mount of a root that replaces "root" and has the
caller's network, "nested": whether sandboxes are made inside, "devices": [names in /dev], "links":
{name in /dev: target}, "covered": [names in /proc to make read-only], "refused": [arguments of
refuse_calls], "limited": [kinds of namespaces that are forbidden inside], "sigaction": number of
the call, "process": {name in /proc/self: text}, "limits": [[name, number, soft, hard]...]}.
A mount: {"at": path, "overlay": [lower directories, top first], "upper": path, "work": path} or
{"at": path, "bind": path, "writable": bool} or {"at": path, "tmpfs": options}.

REPORT_FD gets one JSON object per line: {"setup": stage, "errno": n, "detail": str} if the set-up
failed, else {"command": index, "status": n, ...resources} for each command.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import resource
import shlex
import signal
import struct
import sys
import time
from collections.abc import Callable, Container
from typing import Any, NoReturn

# linux/sched.h
CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 1 << 17, 1 << 25, 1 << 26, 1 << 27
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 1 << 28, 1 << 29, 1 << 30
NAMESPACES = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET
# linux/mount.h
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_NOATIME, MS_NODIRATIME, MS_BIND = 32, 1024, 2048, 4096
MS_REC, MS_PRIVATE, MS_RELATIME, MNT_DETACH = 16384, 1 << 18, 1 << 21, 2
# sys/statvfs.h: unlike the others, this bit differs from its MS_ counterpart.
ST_RELATIME = 4096
# linux/prctl.h, linux/capability.h
PR_SET_PDEATHSIG, PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 23, 24, 38
PR_SET_THP_DISABLE, CAP_SETFCAP, SETUP_FAILED = 41, 31, 125

libc = ctypes.CDLL(None, use_errno=True)
Report = Callable[..., None]  # one object for whoever called: its names and values


class SetupError(Exception):
    """The kernel refused a stage of the set-up: its name, the number of the error, a detail."""


def check(result: int, stage: str, detail: str) -> None:
    if result != 0:
        raise SetupError(stage, ctypes.get_errno(), detail)


def unshare(flags: int) -> None:
    check(libc.unshare(ctypes.c_int(flags)), "unshare", "namespaces")


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    arguments = (os.fsencode(source), os.fsencode(target), kind.encode())
    result = libc.mount(*arguments, ctypes.c_ulong(flags), options.encode())
    check(result, "mount", f"{kind or 'bind'} on {target}")


def prctl(option: int, argument: int) -> int:
    return int(libc.prctl(option, ctypes.c_ulong(argument), 0, 0, 0))


def set_host_name(name: str) -> None:
    check(libc.sethostname(name.encode(), len(name)), "sethostname", name)
    check(libc.setdomainname(b"(none)", 6), "setdomainname", "(none)")


def tell(file: str, text: str, stage: str, detail: str, *, may_lack: Container[int] = ()) -> None:
    """Write `text` to a file of the kernel's; an error that `may_lack` has is none."""
    try:
        with open(file, "w") as kernel:
            kernel.write(text)
    except OSError as error:
        if error.errno not in may_lack:
            raise SetupError(stage, error.errno or 0, detail) from error


def map_to_root(uid: int, gid: int) -> None:
    """Map user 0, the only user inside, to the caller outside."""
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        tell(f"/proc/self/{name}", text, name, text)


def forbid(kinds: list[str]) -> None:
    """Forbid new namespaces of these kinds (namespaces(7)), if the kernel has the limit."""
    for kind in kinds:
        file = f"/proc/sys/user/max_{kind}_namespaces"
        tell(file, "0", "limits", kind, may_lack=(errno.ENOENT, errno.EROFS))


def disinherit(spec: dict[str, Any]) -> None:
    """Reset every process attribute that the caller may have set."""
    check(libc.personality(ctypes.c_ulong(0)) == -1, "personality", "that of Linux")
    # The C library refuses to reset the signals that it uses itself: call the kernel directly.
    for number in range(1, signal.NSIG):
        libc.syscall(spec["sigaction"], number, bytes(32), None, 8)  # struct sigaction: SIG_DFL
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    prctl(PR_SET_THP_DISABLE, 0)
    for name, text in spec["process"].items():
        tell(f"/proc/self/{name}", text, "files", name, may_lack=(errno.ENOENT,))
    for name, number, soft, hard in spec["limits"]:
        limit(name, number, soft, hard)
    # No fixed value for RLIMIT_NPROC: the kernel derives it from the machine's memory.
    resource.setrlimit(resource.RLIMIT_NPROC, (resource.getrlimit(resource.RLIMIT_NPROC)[1],) * 2)
    # 1 byte prevents every core dump; 0 still lets one go to a pipe in core_pattern (core(5)). A
    # hard limit of 0 cannot be raised, and stays.
    with contextlib.suppress(ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))


def limit(name: str, number: int, soft: int, hard: int) -> None:
    try:
        resource.setrlimit(number, (soft, hard))
    except ValueError as error:
        found = resource.getrlimit(number)[1]
        wanted = "none" if hard == resource.RLIM_INFINITY else hard
        detail = f"the hard limit on {name} is {found}, a build needs {wanted}"
        raise SetupError("setrlimit", errno.EPERM, detail) from error


def die_with_parent() -> None:
    # After every change of credentials: the kernel clears the signal then (prctl(2)).
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def mount_one(new_root: str, links: str, entry: dict[str, Any]) -> None:
    target = new_root + entry["at"].rstrip("/")
    if "tmpfs" in entry:
        mount("tmpfs", target, "tmpfs", MS_NOSUID | MS_NODEV, entry["tmpfs"])
    elif "bind" in entry:
        bind(entry["bind"], target, writable=entry["writable"])
    else:
        overlay(target, links, entry)


def bind(source: str, target: str, *, writable: bool) -> None:
    mount(source, target, "", MS_BIND | MS_REC)
    if writable:
        return
    # A remount must repeat the flags that the outer namespace locked (mount_namespaces(7)).
    found = os.statvfs(target).f_flag
    flags = found & (MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME)
    flags |= MS_RELATIME if found & ST_RELATIME else 0
    mount("", target, "", MS_REMOUNT | MS_BIND | MS_RDONLY | flags)


def overlay(target: str, links: str, entry: dict[str, Any]) -> None:
    """Mount an overlay (Documentation/filesystems/overlayfs.rst).

    Short links in the current directory name the layers: the options of mount(2) must fit into one
    page, and a colon or comma in a path would be a separator.
    """
    os.chdir(links)
    places = {"lowerdir": entry["overlay"]}
    places |= {f"{kind}dir": [entry[kind]] for kind in ("upper", "work") if kind in entry}
    paths = dict.fromkeys(path for layers in places.values() for path in layers)
    names = {path: str(number) for number, path in enumerate(paths, len(os.listdir(".")))}
    for path, name in names.items():
        os.symlink(path, name)
    options = [f"{kind}={':'.join(map(names.__getitem__, each))}" for kind, each in places.items()]
    if len({os.stat(path).st_dev for path in paths}) > 1:
        options.append("xino=on")  # else readdir and stat give two inode numbers: configure looks
    mount("overlay", target, "overlay", MS_NODEV | MS_NOSUID, ",".join(["userxattr", *options]))


def make_devices(directory: str, names: list[str], links: dict[str, str]) -> None:
    mount("tmpfs", directory, "tmpfs", MS_NOSUID, "mode=755,size=64k")
    for name in names:
        os.mknod(f"{directory}/{name}")  # a file to mount on
        # Writing to a device still works; its mode and times are the machine's and cannot change.
        bind(f"/dev/{name}", f"{directory}/{name}", writable=False)
    for name, target in links.items():
        os.symlink(target, f"{directory}/{name}")
    os.mkdir(f"{directory}/shm")
    mount("tmpfs", f"{directory}/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=64m")


def make_proc(root: str, spec: dict[str, Any]) -> None:
    """Mount /proc read-only. Nested: mount it writable for uid maps, and make files read-only.

    A nested namespace can mount proc only if it sees a proc without mounts on it, and only
    read-only if that one is (mount_too_revealing in the kernel's fs/namespace.c): hence /dev/proc.
    """
    flags = MS_NOSUID | MS_NODEV | MS_NOEXEC
    if not spec["nested"]:
        mount("proc", f"{root}/proc", "proc", flags | MS_RDONLY)
        return
    os.mkdir(f"{root}/dev/proc")
    mount("proc", f"{root}/dev/proc", "proc", flags | MS_RDONLY)
    mount("proc", f"{root}/proc", "proc", flags)
    for name in spec["covered"]:
        if os.path.exists(path := f"{root}/proc/{name}"):
            bind(path, path, writable=False)


def make_root(spec: dict[str, Any]) -> None:
    """Mount everything below the base directory and make it the root file system."""
    mount("", "/", "", MS_REC | MS_PRIVATE)
    base = spec["base"]
    mount("tmpfs", base, "tmpfs", MS_NOSUID | MS_NODEV, "mode=700,size=1m")
    new_root, links = f"{base}/root", f"{base}/links"
    os.mkdir(new_root)
    os.mkdir(links)
    mount_one(new_root, links, spec["online"] or spec["root"])
    make_devices(f"{new_root}/dev", spec["devices"], spec["links"])
    make_proc(new_root, spec)
    for entry in spec["mounts"]:
        mount_one(new_root, links, entry)
    os.chdir(new_root)
    check(libc.pivot_root(b".", b"."), "pivot_root", new_root)
    check(libc.umount2(b".", MNT_DETACH), "umount", ".")
    os.chdir("/")
    sys.path.clear()  # the new root has another Python, or none


def drop_privilege(*, nested: bool) -> None:
    """Drop every capability for good: a command cannot mount, remount or trace.

    A nested sandbox must map user 0, which needs CAP_SETFCAP (user_namespaces(7)).
    """
    check(prctl(PR_SET_NO_NEW_PRIVS, 1), "prctl", "no_new_privs")
    capability = 0
    while prctl(PR_CAPBSET_READ, capability) >= 0:
        if not (nested and capability == CAP_SETFCAP):
            check(prctl(PR_CAPBSET_DROP, capability), "prctl", f"drop capability {capability}")
        capability += 1


def refuse_calls(call: int, operation: int, flags: int, program: str) -> None:
    """Install the seccomp filter. A kernel without seccomp runs without the filter."""
    code = ctypes.create_string_buffer(bytes.fromhex(program))
    filters = struct.pack("@HP", len(program) // 16, ctypes.addressof(code))  # struct sock_fprog
    result = libc.syscall(call, operation, flags, filters)
    if result and ctypes.get_errno() not in (errno.EINVAL, errno.ENOSYS):
        raise SetupError("seccomp", ctypes.get_errno(), "refused calls")


def run_commands(spec: dict[str, Any], report: Report) -> int:
    """Run the commands in turn, as init of the namespace; stop at the first that fails."""
    for index, command in enumerate(spec["commands"]):
        if spec["log"] is not None:
            os.write(1, f"+ {shlex.join(command['argv'])}\n".encode(errors="surrogateescape"))
        start = time.monotonic()
        if (pid := os.fork()) == 0:
            execute(command, spec["environment"])
        status, usage = reap_until(pid)
        seconds, cpu = time.monotonic() - start, usage.ru_utime + usage.ru_stime
        used = {"seconds": round(seconds, 3), "cpu": round(cpu, 3)}
        report(command=index, status=status, memory=usage.ru_maxrss * 1024, **used)
        if status != 0:
            return status
    return 0


def execute(command: dict[str, Any], environment: dict[str, str]) -> NoReturn:
    """Become the program of `command`. os.execvpe would do, but imports a module: from where?"""
    name = command["argv"][0]
    places = [""] if "/" in name else environment.get("PATH", os.defpath).split(":")
    files = (os.path.join(place, name) for place in places)
    program = next((file for file in files if file == name or os.access(file, os.X_OK)), f"/{name}")
    try:
        os.chdir(command["cwd"])
        os.execve(program, command["argv"], environment)
    except OSError as error:
        os.write(2, f"{name}: {error.strerror} (directory {command['cwd']})\n".encode())
    os._exit(127)


def reap_until(pid: int) -> tuple[int, resource.struct_rusage]:
    while True:
        found, status, usage = os.wait4(-1, 0)
        if found == pid:
            code = os.waitstatus_to_exitcode(status)
            return (128 - code if code < 0 else code), usage


def init(spec: dict[str, Any], report: Report) -> int:
    """Run as process 1 of the new namespaces."""
    die_with_parent()
    if spec["log"] is not None:
        log = os.open(spec["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
    set_host_name(spec["hostname"])
    make_root(spec)
    if not spec["interactive"]:
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)  # the host's one: a build could change it
    os.umask(0o022)
    drop_privilege(nested=spec["nested"])
    refuse_calls(*spec["refused"])
    return run_commands(spec, report)


def enter(spec: dict[str, Any], report: Report, parent: int) -> int:
    """Make the namespaces, start process 1 in them and wait for it. Returns its exit status."""
    disinherit(spec)  # first: inside the namespaces no limit can be raised
    uid, gid = os.geteuid(), os.getegid()
    unshare(NAMESPACES & ~CLONE_NEWNET if spec["online"] else NAMESPACES)
    # A call of its own: in a nested sandbox only this one does nothing (rootfs/sandbox/seccomp.py).
    unshare(CLONE_NEWCGROUP)
    forbid(spec["limited"])
    map_to_root(uid, gid)
    die_with_parent()
    if os.getppid() != parent:
        raise SetupError("parent", errno.ESRCH, "the process that asked for the sandbox is gone")
    if (pid := os.fork()) == 0:
        os._exit(guarded(lambda: init(spec, report), report))
    if spec["interactive"]:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    return reap_until(pid)[0]


def guarded(action: Callable[[], int], report: Report) -> int:
    try:
        return action()
    except SetupError as error:
        stage, number, detail = error.args
        report(setup=stage, errno=number, detail=detail)
    except OSError as error:
        report(setup="files", errno=error.errno or 0, detail=str(error))
    return SETUP_FAILED


def main() -> int:
    spec_file, descriptor, parent = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with open(spec_file, encoding="utf-8") as file:
        spec = json.load(file)
    os.set_inheritable(descriptor, False)

    def report(**content: Any) -> None:
        os.write(descriptor, json.dumps(content).encode() + b"\n")

    return guarded(lambda: enter(spec, report, parent), report)


if __name__ == "__main__":
    sys.exit(main())
