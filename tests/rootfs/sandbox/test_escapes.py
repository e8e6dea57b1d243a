"""What a build can reach outside of its sandbox, and what reaches it from outside.

Each row is one expression that runs inside, as root and as an ordinary user, with its expected
value. Things that cannot be hidden from a build have rows too, with the visible value.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import socket
import tempfile
from pathlib import Path
from typing import Any

import pytest

from rootfs.sandbox.inherited import LIMITS
from rootfs.sandbox.seccomp import _MACHINES
from tests.nobody import USERS
from tests.rootfs import namespaces
from tests.rootfs.inside import inside
from tests.rootfs.namespaces import Row

pytestmark = pytest.mark.namespace

CALLS = dict(
    zip(
        ("add_key", "request_key", "keyctl", "bpf", "perf", "userfaultfd", "syslog"),
        _MACHINES[os.uname().machine].missing,
        strict=True,
    )
)
LIBC = ctypes.CDLL(None, use_errno=True)
KEY = 0x62713200 + os.getpid() % 256  # of the shared memory that the host has
SOCKET = f"\0bq2-test-{os.getpid()}"
QUEUE = f"/bq2-test-{os.getpid()}"

NETWORK: list[Row] = [
    (
        "TCP to a server on this machine",
        "socket.create_connection(('127.0.0.1', port), 1)",
        "OSError: [Errno 101] Network is unreachable",
        "there is no network",
    ),
    (
        "TCP by IPv6",
        "socket.create_connection(('::1', port), 1)",
        "OSError: [Errno 99] Cannot assign requested address",
        "there is no network",
    ),
    (
        "UDP",
        "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
        "OSError: [Errno 101] Network is unreachable",
        "there is no network",
    ),
    (
        "a look-up of a name",
        "socket.getaddrinfo('example.org', 80)",
        "gaierror: [Errno -3] Temporary failure in name resolution",
        "there is no network",
    ),
    ("the network's interfaces", "socket.if_nameindex()", [[1, "lo"]], "only a loopback, down"),
    (
        "an abstract socket of this machine",
        "socket.socket(socket.AF_UNIX).connect(abstract)",
        "ConnectionRefusedError: [Errno 111] Connection refused",
        "not there",
    ),
    (
        "a socket in a directory of this machine",
        "socket.socket(socket.AF_UNIX).connect(path)",
        "FileNotFoundError: [Errno 2] No such file or directory",
        "not there",
    ),
    (
        "a socket to the host of a virtual machine (vsock)",
        "socket.socket(socket.AF_VSOCK)",
        "OSError: [Errno 97] Address family not supported by protocol",
        "refused",
    ),
    (
        "raw packets",
        "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
        "PermissionError: [Errno 1] Operation not permitted",
        "refused",
    ),
]
FILES: list[Row] = [
    (
        "a file of this machine, by its path",
        "text('/etc/passwd')",
        "FileNotFoundError: [Errno 2] No such file or directory: '/etc/passwd'",
        "not there",
    ),
    (
        "the root of the first process",
        "os.listdir('/proc/1/root')",
        "PermissionError: [Errno 13] Permission denied: '/proc/1/root'",
        "refused",
    ),
    (
        "open files that are inherited",
        "sorted(os.listdir('/proc/self/fd'))[:3]",
        ["0", "1", "2"],
        "none but its log",
    ),
    (
        "/dev",
        "sorted(os.listdir('/dev'))",
        ["fd", "full", "null", "random", "shm", "stderr", "stdin", "stdout", "urandom", "zero"],
        "five devices",
    ),
    (
        "a disk's node",
        "os.mknod('/tmp/disk', stat.S_IFBLK | 0o600, os.makedev(8, 0))",
        "PermissionError: [Errno 1] Operation not permitted",
        "refused",
    ),
    ("a loop device", "os.path.exists('/dev/loop-control')", False, "not there"),
    (
        "the mode of /dev/null",
        "os.chmod('/dev/null', 0o666)",
        "OSError: [Errno 30] Read-only file system: '/dev/null'",
        "refused: where root builds it is this machine's own",
    ),
    (
        "the mode of its standard input",
        "os.fchmod(0, 0o666)",
        "OSError: [Errno 30] Read-only file system",
        "refused",
    ),
    ("writing to /dev/null", "open('/dev/null', 'w').write('x')", 1, "works"),
    (
        "its root",
        "open('/new', 'w')",
        "OSError: [Errno 30] Read-only file system: '/new'",
        "read-only",
    ),
    ("a file by its handle, past all paths", "by_handle()", "EPERM", "refused"),
    ("/sys and control groups", "os.listdir('/sys')", [], "nothing is there"),
    (
        "the machine's files in /proc",
        "writable_machine_files()",
        [],
        "none can be written that not everybody may write",
    ),
    (
        "the machine's core_pattern",
        "os.access('/proc/sys/kernel/core_pattern', os.W_OK)",
        False,
        "read-only",
    ),
    ("a crash that dumps core", "crash()", [-11, []], "no core file"),
    (
        "a core, to a pipe in core_pattern",
        "resource.getrlimit(resource.RLIMIT_CORE)",
        [1, 1],
        "none is made",
    ),
]
PRIVILEGE: list[Row] = [
    (
        "capabilities",
        "[status('CapEff'), status('CapBnd')]",
        ["CapEff:\t0000000000000000", "CapBnd:\t0000000000000000"],
        "none, and none to be had",
    ),
    ("set-user-id programs", "status('NoNewPrivs')", "NoNewPrivs:\t1", "give no privilege"),
    (
        "chroot",
        "os.chroot('/tmp')",
        "PermissionError: [Errno 1] Operation not permitted: '/tmp'",
        "refused",
    ),
    ("tracing the first process", "called(libc.ptrace(16, 1, None, None))", "EPERM", "refused"),
    ("a signal to the first process", "os.kill(1, signal.SIGKILL)", None, "without effect"),
    (
        "processes of this machine",
        "sorted(int(name) for name in os.listdir('/proc') if name.isdigit())",
        [1, 2],
        "not there",
    ),
    ("another user", "os.setuid(1)", "OSError: [Errno 22] Invalid argument", "there is only one"),
    (
        "a lower nice value",
        "os.nice(-5)",
        "PermissionError: [Errno 1] Operation not permitted",
        "refused",
    ),
    (
        "typing into the terminal (TIOCSTI)",
        "fcntl.ioctl(0, 0x5412, b'x')",
        "PermissionError: [Errno 1] Operation not permitted",
        "refused",
    ),
    (
        "swap, accounting, reboot, the host's name",
        "[called(libc.swapoff(b'/none')), called(libc.acct(None)), called(libc.reboot(0)),"
        " called(libc.sethostname(b'x', 1))]",
        ["EPERM"] * 4,
        "refused",
    ),
]
KERNEL: list[Row] = [
    (
        "the user's keyrings",
        "[call(n, 0, -3, 0) for n in (add_key, request_key, keyctl)]",
        ["ENOSYS"] * 3,
        "refused",
    ),
    ("kernel programs (bpf)", "call(bpf, 0, 0, 0)", "ENOSYS", "refused"),
    ("kernel counters (perf)", "call(perf, 0, 0, -1, -1, 0)", "ENOSYS", "refused"),
    ("userfaultfd", "call(userfaultfd, 0)", "ENOSYS", "refused"),
    ("the kernel's log", "call(syslog, 3, 0, 0)", "ENOSYS", "refused"),
    ("io_uring", "[call(n, 1, 0) for n in (425, 426, 427)]", ["ENOSYS"] * 3, "refused"),
    (
        "shared memory of this machine (System V)",
        "called(libc.shmget(key, 0, 0))",
        "ENOENT",
        "not there",
    ),
    (
        "message queues of this machine (POSIX)",
        "called(libc.mq_open(queue.encode(), 0))",
        "ENOENT",
        "not there",
    ),
]
LEAKS: list[Row] = [
    ("the host's name", "os.uname().nodename", "bq2", "hidden: always the same"),
    ("the user", "[os.getuid(), os.getgid(), os.getgroups()]", [0, 0, []], "hidden: 0"),
    (
        "variables, HOME, locale, time zone",
        "sorted(os.environ)",
        ["LC_ALL", "PATH", "TZ"],
        "hidden: only those of the step",
    ),
    ("the umask", "oct(os.umask(0o022))", "0o22", "hidden: 022"),
    (
        "limits (ulimit)",
        f"[resource.getrlimit(number) for number in {[limit[1] for limit in LIMITS]}]",
        [list(limit[2:]) for limit in LIMITS],
        "hidden: always the same, but for the number of processes",
    ),
    (
        "attributes of files (ACLs, labels of a security module)",
        "[os.listxattr('/build'), os.setxattr('/build', 'user.x', b'')]",
        "OSError: [Errno 95] Operation not supported: '/build'",
        "hidden: files have none",
    ),
    (
        "signals that the caller ignores or blocks",
        "[status('SigBlk').split()[1], int(status('SigIgn').split()[1], 16)]",
        ["0" * 16, 1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1],  # Python's own
        "hidden: none",
    ),
    ("the machine's id", "os.path.exists('/etc/machine-id')", False, "hidden"),
    (
        "process numbers",
        "[os.getpid(), os.getppid(), os.getsid(0)]",
        [2, 1, 0],
        "hidden: counted anew",
    ),
]
CANNOT = "cannot be hidden by namespaces; `doit regenerate` finds a package that takes it in"
INTENDED = "it is the user's, and stays in force; `doit verify` finds a package that takes it in"
SEEN: list[Row] = [
    ("the kernel's release (uname -r)", "os.uname().release", os.uname().release, CANNOT),
    (
        "the kernel's build (/proc/version)",
        "text('/proc/version')",
        Path("/proc/version").read_text(),
        CANNOT,
    ),
    (
        "the processors' number",
        "sorted(os.sched_getaffinity(0))",
        sorted(os.sched_getaffinity(0)),
        CANNOT + "; steps ask for `jobs=` instead",
    ),
    ("the nice value", "os.nice(0)", os.nice(0), INTENDED),
    (
        "the limit on processes",
        "resource.getrlimit(resource.RLIMIT_NPROC)[1]",
        resource.getrlimit(resource.RLIMIT_NPROC)[1],
        CANNOT + ": the kernel derives it from the memory",
    ),
    (
        "the processors' model",
        "text('/proc/cpuinfo').count('model name')",
        Path("/proc/cpuinfo").read_text().count("model name"),
        CANNOT,
    ),
    (
        "the boot's id",
        "text('/proc/sys/kernel/random/boot_id')",
        Path("/proc/sys/kernel/random/boot_id").read_text(),
        CANNOT,
    ),
    (
        "the memory",
        "text('/proc/meminfo').split()[1]",
        Path("/proc/meminfo").read_text().split()[1],
        CANNOT,
    ),
    ("the disk's size", "os.statvfs('/usr').f_blocks", os.statvfs("/usr").f_blocks, CANNOT),
    (
        "the kernel's command line",
        "text('/proc/cmdline')",
        Path("/proc/cmdline").read_text(),
        CANNOT,
    ),
    ("the uptime", "float(text('/proc/uptime').split()[0]) > uptime", True, CANNOT),
    (
        "the directories that it was mounted from",
        "directory in text('/proc/self/mountinfo')",
        True,
        CANNOT,
    ),
]
TRIED = (*NETWORK, *FILES, *PRIVILEGE, *namespaces.BUILD, *KERNEL)
BUILD = {
    **{f"a build tries: {row[0]}": row for row in TRIED},
    **{f"what leaks into a build: {row[0]}": row for row in (*LEAKS, *SEEN)},
}
NESTED = {f"what makes sandboxes inside tries: {row[0]}": row for row in namespaces.NESTED}


def device() -> tuple[int, int]:
    """What a build could change of the machine's /dev/null: its mode, and when that was."""
    status = Path("/dev/null").stat()
    return status.st_mode, status.st_ctime_ns


@pytest.fixture(scope="module", params=USERS)
def answers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """What all expressions give, those of each kind of sandbox in one of it.

    What they look for is there outside.
    """
    path = os.fspath(tmp_path_factory.mktemp("host") / "socket")
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as named:
        abstract = socket.socket(socket.AF_UNIX)
        abstract.bind(SOCKET)
        named.bind(path)
        for each in (abstract, named):
            each.listen()
        shared = LIBC.shmget(KEY, 4096, 0o1600)
        queue = LIBC.mq_open(QUEUE.encode(), os.O_CREAT, 0o600, None)
        assert shared >= 0 and queue >= 0
        facts = {
            **CALLS,
            **namespaces.FACTS,
            "port": server.getsockname()[1],
            "abstract": SOCKET,
            "path": path,
            "key": KEY,
            "queue": QUEUE,
            # Only the name: the table has paths below the top of each file system.
            "directory": Path(tempfile.gettempdir()).name,
            "uptime": float(Path("/proc/uptime").read_text().split()[0]),
        }
        mounts = Path("/proc/self/mountinfo").read_text()
        null = device()
        found = dict[str, Any]()
        try:
            for rows, nested in ((BUILD, False), (NESTED, True)):
                expressions = {name: row[1] for name, row in rows.items()}
                answers = inside(request.param, expressions, facts, nested=nested)
                found |= answers
        finally:
            LIBC.shmctl(shared, 0, None)
            LIBC.mq_unlink(QUEUE.encode())
            abstract.close()
    assert Path("/proc/self/mountinfo").read_text() == mounts, "a mount came out"
    assert device() == null, "a device was changed"
    return found


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, id=row[0], marks=pytest.mark.fault(name, row[3]))
        for name, row in (BUILD | NESTED).items()
    ],
)
def test_what_a_build_reaches(answers: dict[str, Any], name: str) -> None:
    assert answers[name] == (BUILD | NESTED)[name][2]
