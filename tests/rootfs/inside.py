"""Runs Python expressions inside a sandbox whose caller has unusual settings.

inside(user, expressions) ──▶ driver (as that user: variables, umask, signals, an open file)
                                └──▶ sandbox ──▶ {name: value, or "Error: reason"}
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.nobody import AS_ORDINARY, open_directory, ordinary_python

ROOT = Path(__file__).resolve().parents[2]
SURROUNDINGS = {
    "HOME": "/home/leak",
    "USER": "leak",
    "LANG": "de_DE.UTF-8",
    "TZ": "Asia/Tokyo",
    "LD_LIBRARY_PATH": "/leak",
    "CFLAGS": "-leak",
    "PATH": os.environ["PATH"],
}
ENVIRONMENT = {"PATH": "/usr/bin", "TZ": "UTC", "LC_ALL": "C"}

BEFORE = "import os; from resource import *; from signal import *\n"
DRIVER = """
import json, os, signal, sys
from pathlib import Path

directory = Path(sys.argv[1])
sys.path.insert(0, str(directory))
from plan.model import Command
from rootfs.sandbox.compose import bound, scratch
from rootfs.sandbox.enter import Sandbox, enter

signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
os.set_inheritable(os.open(directory / "script.py", os.O_RDONLY), True)
points = directory / "points"
for name in ("proc", "dev", "tmp", "at", "sys", "usr", "build"):
    (points / name).mkdir(parents=True)
for name in ("bin", "lib", "lib64"):
    (points / name).symlink_to("usr/" + name)
(directory / "at").mkdir()
(directory / "build").mkdir()
(directory / "script.py").rename(directory / "at" / "script.py")
mounts = [
    bound("/usr", Path("/usr")),
    bound("/at", directory / "at"),
    bound("/build", directory / "build", writable=True),
    scratch("/tmp"),
]
environment, nested = json.loads(sys.argv[2]), sys.argv[3] == "nested"
place = Sandbox(directory, bound("/", points), mounts, environment, nested)
command = Command(("python3", "-I", "/at/script.py"), "/build")
(result,) = enter(place, [command], log=directory / "log")
sys.exit(result.status)
"""

SCRIPT = """\
import ctypes, errno, fcntl, glob, json, os, resource, signal, socket, stat, subprocess, threading

libc = ctypes.CDLL(None, use_errno=True)

def called(result):
    return result if result >= 0 else errno.errorcode[ctypes.get_errno()]

def call(number, *arguments):
    return called(libc.syscall(number, *arguments))

def text(path):
    with open(path) as file:
        return file.read()

def status(key):
    return next(line for line in text("/proc/self/status").splitlines() if line.startswith(key))

def writable_machine_files():
    found = []
    for directory, directories, names in os.walk("/proc"):
        if directory == "/proc":
            kept = [name for name in directories if not name.isdigit() and "self" not in name]
            directories[:] = kept
        for name in names:
            path = os.path.join(directory, name)
            try:
                if os.stat(path).st_mode & 0o222 in (0, 0o222):
                    continue  # for nobody, or for everybody
                os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
                found.append(path)
            except OSError:
                pass
    return found

def in_a_child(action):
    read_end, write_end = os.pipe()
    if not (pid := os.fork()):
        try:
            said = action()
        except BaseException as error:
            said = type(error).__name__ + ": " + str(error)
        os.write(write_end, json.dumps(said).encode())
        os._exit(0)
    os.close(write_end)
    with open(read_end) as pipe:
        said = json.load(pipe)
    os.waitpid(pid, 0)
    return said

def unshared(flags, action=lambda: 0):
    "What `action` gives in namespaces made in here; or why there are none."
    def inside():
        made = called(libc.unshare(flags))
        return action() if made == 0 else made
    return in_a_child(inside)

def master(action):
    "As process 1 of all namespaces that a sandbox has, where this is user 0 with every capability."
    def inside():
        for name, line in (("setgroups", "deny"), ("uid_map", "0 0 1"), ("gid_map", "0 0 1")):
            with open("/proc/self/" + name, "w") as file:
                file.write(line)
        return in_a_child(action)
    return unshared(namespaces, inside)

def cloned(flags):
    "As fork, with flags."
    child = libc.syscall(clone, flags | signal.SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    return called(child)

def joined(name):
    with open("/proc/self/ns/" + name) as file:
        return called(libc.setns(file.fileno(), 0))

def mounted(kind, options=None, flags=0):
    "What lies in a new file system; or why there is none."
    place = os.path.join("/tmp", kind)
    os.makedirs(place, exist_ok=True)
    options = options and options.encode()
    done = called(libc.mount(b"none", place.encode(), kind.encode(), flags, options))
    return sorted(os.listdir(place)) if done == 0 else done

def groups():
    return sorted({line.split(":")[2] for line in text("/proc/self/cgroup").splitlines()})

def own_groups(first=os.readlink("/proc/self/ns/cgroup")):
    return os.readlink("/proc/self/ns/cgroup") == first

def started():
    "All ways to start something."
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    spawned = os.posix_spawn("/bin/true", ["true"], {})
    return [subprocess.run(["true"]).returncode, os.waitpid(spawned, 0)[1], in_a_child(lambda: 0)]

def crash():
    child = subprocess.run(["sh", "-c", "kill -SEGV $$"], cwd="/tmp")
    return [child.returncode, sorted(name for name in os.listdir("/tmp") if "core" in name)]

def by_handle():
    class Handle(ctypes.Structure):
        _fields_ = [("size", ctypes.c_uint), ("kind", ctypes.c_int), ("data", ctypes.c_char * 64)]
    handle, mount = Handle(64), ctypes.c_int()
    named = libc.name_to_handle_at(-100, b"/build", ctypes.byref(handle), ctypes.byref(mount), 0)
    assert named == 0
    directory = os.open("/build", os.O_RDONLY)
    return called(libc.open_by_handle_at(directory, ctypes.byref(handle), 0))

answers = {}
for name, expression in EXPRESSIONS.items():
    try:
        answers[name] = eval(expression)
    except BaseException as error:
        answers[name] = type(error).__name__ + ": " + str(error)
with open("/build/answers", "w") as file:
    json.dump(answers, file, default=str)
"""


def inside(
    user: str,
    expressions: Mapping[str, str],
    facts: Mapping[str, Any],
    *,
    nested: bool = False,
    before: str = "",
) -> dict[str, Any]:
    """The values of `expressions` inside, by name.

    facts: what the expressions may name, besides the functions of SCRIPT.
    nested: whether sandboxes may be made inside.
    before: what the driver does first, with `os` and all of `resource` and `signal`.
    user: "this user", or "nobody" for an ordinary user; without being root, whoever this is.
    """
    with open_directory() as directory:
        given = f"EXPRESSIONS = {dict(expressions)!r}\nglobals().update({dict(facts)!r})\n"
        (directory / "script.py").write_text(given + SCRIPT)
        return _answers(directory, user, before, "nested" if nested else "single")


def _answers(directory: Path, user: str, before: str, kind: str) -> dict[str, Any]:
    for package in ("plan", "rootfs"):
        shutil.copytree(ROOT / package, directory / package)
    python = [*AS_ORDINARY, ordinary_python()] if user == "nobody" else [sys.executable]
    command = [
        *(*python, "-I", "-c", BEFORE + before + DRIVER, os.fspath(directory)),
        *(json.dumps(ENVIRONMENT), kind),
    ]
    # The umask of `nobody` is 077 too.
    done = subprocess.run(
        ["sh", "-c", 'umask 077; exec "$@"', "sh", *command],
        cwd=directory,
        env=SURROUNDINGS,
        capture_output=True,
        text=True,
        check=False,
    )
    answers = directory / "build" / "answers"
    log = (directory / "log").read_text() if (directory / "log").exists() else ""
    assert done.returncode == 0 and answers.exists(), f"{done.stderr}\n{log}"
    return dict(json.loads(answers.read_text()))
