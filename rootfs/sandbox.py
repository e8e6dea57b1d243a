"""Runs commands in namespaces of their own: no network, no host file, no privilege.

Runs as its own process, with the standard library only:

    python3 -I -S rootfs/sandbox.py SPEC.json REPORT_FD PARENT_PID

    unshare ─▶ uid map ─▶ fork ─▶ [pid 1] mounts ─▶ pivot_root ─▶ drop privilege ─▶ commands
       └── waits, dies with its parent ──┘

It guarantees that a command sees only the mounts of the specification, an empty network, its
own processes, a fixed host name and the environment given; that it holds no capability, cannot
gain any, and has no terminal unless the specification is interactive; and that nothing it
started outlives it. What cannot be had is an error, never a weaker sandbox.

The specification: {"base": folder to mount on, "root": mount, "mounts": [mount...],
"environment": {}, "hostname": str, "commands": [{"argv": [], "cwd": str}...],
"log": path or null, "interactive": bool, "nested": whether sandboxes are made inside, "devices":
[names in /dev], "links": {in /dev: target}, "covered": [names in /proc], "refused": [seccomp...],
"limited": [kinds of namespaces of which none is made inside]}.
A mount: {"at": path, "overlay": [lower folders, top first], "upper": path, "work": path} or
{"at": path, "bind": path, "writable": bool} or {"at": path, "tmpfs": options}.

One JSON object a line goes to REPORT_FD: {"setup": stage, "errno": n, "detail": str} when the
sandbox could not be had, else one {"command": index, "status": n, ...resources} per command.
"""

from __future__ import annotations

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
from typing import Any, NoReturn

# linux/sched.h
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
CLONE_NEWCGROUP = 0x02000000
NAMESPACES = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET
# linux/mount.h
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_NOATIME, MS_NODIRATIME, MS_BIND = 32, 1024, 2048, 4096
MS_REC, MS_PRIVATE, MS_RELATIME = 16384, 1 << 18, 1 << 21
MNT_DETACH = 2
# sys/statvfs.h: unlike the others, this bit differs from its MS_ counterpart.
ST_RELATIME = 4096
# linux/prctl.h, linux/capability.h
PR_SET_PDEATHSIG, PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 23, 24, 38
CAP_SETFCAP, SETUP_FAILED = 31, 125

libc = ctypes.CDLL(None, use_errno=True)


class SetupError(Exception):
    """The kernel refused a stage of the set-up."""

    def __init__(self, stage: str, number: int, detail: str) -> None:
        super().__init__(stage, number, detail)
        self.stage, self.number, self.detail = stage, number, detail


# --- thin wrappers, one for each system call ---------------------------------------------------


def check(result: int, stage: str, detail: str) -> None:
    if result != 0:
        raise SetupError(stage, ctypes.get_errno(), detail)


def unshare(flags: int) -> None:
    check(libc.unshare(ctypes.c_int(flags)), "unshare", "namespaces")


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    arguments = (os.fsencode(source), os.fsencode(target), kind.encode())
    result = libc.mount(*arguments, ctypes.c_ulong(flags), options.encode())
    check(result, "mount", f"{kind or 'bind'} on {target}")


def unmount(target: str) -> None:
    check(libc.umount2(os.fsencode(target), MNT_DETACH), "umount", target)


def prctl(option: int, argument: int) -> int:
    return int(libc.prctl(option, ctypes.c_ulong(argument), 0, 0, 0))


def set_host_name(name: str) -> None:
    check(libc.sethostname(name.encode(), len(name)), "sethostname", name)
    check(libc.setdomainname(b"(none)", 6), "setdomainname", "(none)")


# --- the operations ----------------------------------------------------------------------------


def map_to_root(uid: int, gid: int) -> None:
    """The only user that exists inside is 0, and outside it is whoever called."""
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        try:
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
        except OSError as error:
            raise SetupError(name, error.errno or 0, text) from error


def forbid(kinds: list[str]) -> None:
    """No namespace of these can be made from now on (namespaces(7)), where that can be set."""
    for kind in kinds:
        try:
            with open(f"/proc/sys/user/max_{kind}_namespaces", "w") as file:
                file.write("0")
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.EROFS):
                raise SetupError("limits", error.errno or 0, kind) from error


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
    """Compose folders (Documentation/filesystems/overlayfs.rst) without copying anything.

    They are named by short links in the current folder: the options of mount(2) must fit into one
    page, and no colon or comma of a path can then be mistaken for a separator.
    """
    os.chdir(links)
    options = "userxattr,lowerdir=" + ":".join(map(link_to, entry["overlay"]))
    if "upper" in entry:
        options += f",upperdir={link_to(entry['upper'])},workdir={link_to(entry['work'])}"
    mount("overlay", target, "overlay", MS_NODEV | MS_NOSUID, options)


def link_to(folder: str) -> str:
    name = str(len(os.listdir(".")))
    os.symlink(folder, name)
    return name


def make_devices(folder: str, names: list[str], links: dict[str, str]) -> None:
    mount("tmpfs", folder, "tmpfs", MS_NOSUID, "mode=755,size=64k")
    for name in names:
        with open(f"{folder}/{name}", "w"):
            pass
        # Devices take what is written all the same; but their modes and times are the machine's.
        bind(f"/dev/{name}", f"{folder}/{name}", writable=False)
    for name, target in links.items():
        os.symlink(target, f"{folder}/{name}")
    os.mkdir(f"{folder}/shm")
    mount("tmpfs", f"{folder}/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=64m")


def make_proc(root: str, spec: dict[str, Any]) -> None:
    """Mount /proc read-only. Who makes sandboxes must write uid maps, so files are covered there.

    A namespace gets a proc of its own only where it sees one that is not covered, and read-only if
    that one is (mount_too_revealing in the kernel's fs/namespace.c): /dev/proc is there for that.
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
    """Mount everything below the base folder and make that the only file system there is."""
    mount("", "/", "", MS_REC | MS_PRIVATE)
    base = spec["base"]
    mount("tmpfs", base, "tmpfs", MS_NOSUID | MS_NODEV, "mode=700,size=1m")
    new_root, links = f"{base}/root", f"{base}/links"
    os.mkdir(new_root)
    os.mkdir(links)
    mount_one(new_root, links, spec["root"])
    make_devices(f"{new_root}/dev", spec["devices"], spec["links"])
    make_proc(new_root, spec)
    for entry in spec["mounts"]:
        mount_one(new_root, links, entry)
    os.chdir(new_root)
    check(libc.pivot_root(b".", b"."), "pivot_root", new_root)
    unmount(".")
    os.chdir("/")


def drop_privilege(*, nested: bool) -> None:
    """Give up every capability for good: what runs inside cannot mount, remount or trace.

    Who is to map user 0 into namespaces of its own keeps CAP_SETFCAP (user_namespaces(7)).
    """
    check(prctl(PR_SET_NO_NEW_PRIVS, 1), "prctl", "no_new_privs")
    capability = 0
    while prctl(PR_CAPBSET_READ, capability) >= 0:
        if not (nested and capability == CAP_SETFCAP):
            check(prctl(PR_CAPBSET_DROP, capability), "prctl", f"drop capability {capability}")
        capability += 1


def refuse_calls(call: int, operation: int, flags: int, program: str) -> None:
    """Have the kernel refuse what no namespace divides. One built without seccomp goes without."""
    code = ctypes.create_string_buffer(bytes.fromhex(program))
    filters = struct.pack("@HP", len(program) // 16, ctypes.addressof(code))  # struct sock_fprog
    result = libc.syscall(call, operation, flags, filters)
    if result and ctypes.get_errno() not in (errno.EINVAL, errno.ENOSYS):
        raise SetupError("seccomp", ctypes.get_errno(), "refused calls")


def run_commands(spec: dict[str, Any], report: Report) -> int:
    """Run the commands in turn, as the init of the namespace; stop at the first that fails."""
    for index, command in enumerate(spec["commands"]):
        if spec["log"] is not None:
            os.write(1, f"+ {shlex.join(command['argv'])}\n".encode(errors="surrogateescape"))
        start = time.monotonic()
        pid = os.fork()
        if pid == 0:
            execute(command, spec["environment"])
        status, usage = reap_until(pid)
        report.send(
            command=index,
            status=status,
            seconds=round(time.monotonic() - start, 3),
            cpu=round(usage.ru_utime + usage.ru_stime, 3),
            memory=usage.ru_maxrss * 1024,
        )
        if status != 0:
            return status
    return 0


def execute(command: dict[str, Any], environment: dict[str, str]) -> NoReturn:
    try:
        # What Python, or whoever started the run, ignores or blocks would be inherited.
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.chdir(command["cwd"])
        os.execvpe(command["argv"][0], command["argv"], environment)
    except OSError as error:
        name = command["argv"][0]
        os.write(2, f"{name}: {error.strerror} (folder {command['cwd']})\n".encode())
    os._exit(127)


def reap_until(pid: int) -> tuple[int, resource.struct_rusage]:
    while True:
        found, status, usage = os.wait4(-1, 0)
        if found == pid:
            code = os.waitstatus_to_exitcode(status)
            return (128 - code if code < 0 else code), usage


class Report:
    """The line to the process outside."""

    def __init__(self, descriptor: int) -> None:
        os.set_inheritable(descriptor, False)
        self.descriptor = descriptor

    def send(self, **content: Any) -> None:
        os.write(self.descriptor, json.dumps(content).encode() + b"\n")


def init(spec: dict[str, Any], report: Report) -> int:
    """What process 1 of the new namespaces does."""
    die_with_parent()
    if spec["log"] is not None:
        log = os.open(spec["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
    set_host_name(spec["hostname"])
    make_root(spec)
    if not spec["interactive"]:
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)  # the one outside could be changed by it
    os.umask(0o022)
    # With 1 no core comes to be; with 0 one would still go to a pipe in core_pattern (core(5)).
    resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    drop_privilege(nested=spec["nested"])
    refuse_calls(*spec["refused"])
    return run_commands(spec, report)


def enter(spec: dict[str, Any], report: Report, parent: int) -> int:
    """Make the namespaces, start process 1 in them and wait for it. Returns its exit status."""
    uid, gid = os.geteuid(), os.getegid()
    unshare(NAMESPACES)
    # By itself, because it alone is not given where sandboxes are nested (rootfs/refused.py).
    unshare(CLONE_NEWCGROUP)
    forbid(spec["limited"])
    map_to_root(uid, gid)
    die_with_parent()
    if os.getppid() != parent:
        raise SetupError("parent", errno.ESRCH, "the process that asked for the sandbox is gone")
    pid = os.fork()
    if pid == 0:
        os._exit(guarded(lambda: init(spec, report), report))
    if spec["interactive"]:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


def guarded(action: Any, report: Report) -> int:
    try:
        return int(action())
    except SetupError as error:
        report.send(setup=error.stage, errno=error.number, detail=error.detail)
    except OSError as error:
        report.send(setup="files", errno=error.errno or 0, detail=str(error))
    return SETUP_FAILED


def main() -> int:
    spec_file, descriptor, parent = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with open(spec_file, encoding="utf-8") as file:
        spec = json.load(file)
    report = Report(descriptor)
    return guarded(lambda: enter(spec, report, parent), report)


if __name__ == "__main__":
    sys.exit(main())
