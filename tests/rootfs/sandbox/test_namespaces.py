"""The real sandbox: with this user, and for root also with an ordinary user."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from plan.errors import BuildError
from plan.model import Command
from rootfs.sandbox import namespaces
from rootfs.sandbox.compose import Composer, bound, scratch
from rootfs.sandbox.enter import Result, Sandbox, enter, overlay_works
from tests.checkout import ROOT
from tests.nobody import AS_ORDINARY, open_directory, ordinary_python
from tests.tasks.toy import until

pytestmark = pytest.mark.namespace

POINTS = ("proc", "dev", "tmp", "at", "sys")


def root_of_host(directory: Path) -> dict[str, object]:
    """A root with the host's programs: /usr read-only, and nothing else of the host."""
    points = directory / "points"
    for name in (*POINTS, "usr"):
        (points / name).mkdir(parents=True, exist_ok=True)
    for name in ("bin", "lib", "lib64", "sbin"):
        if Path("/", name).is_symlink() and not (points / name).is_symlink():
            (points / name).symlink_to(f"usr/{name}")
    return bound("/", points)


def run(
    directory: Path, script: str, mounts: Sequence[dict[str, object]] = ()
) -> tuple[list[Result], str]:
    directory.mkdir(parents=True, exist_ok=True)
    usr = bound("/usr", Path("/usr"))
    environment = {"PATH": "/usr/bin", "ONLY": "this"}
    place = Sandbox(
        directory, root_of_host(directory), [usr, scratch("/tmp"), *mounts], environment
    )
    log = directory / "log"
    log.unlink(missing_ok=True)
    results = enter(place, [Command(("sh", "-c", script), "/")], log=log)
    return results, log.read_text().split("\n", script.count("\n") + 1)[-1]


@pytest.mark.fault(
    "the source of a build is on another file system than the work directory",
    "each file has one inode number; configure scripts compare those of readdir and stat",
)
def test_inode_numbers_over_two_file_systems(tmp_path: Path) -> None:
    here = tmp_path.stat().st_dev
    places = (Path(each) for each in ("/dev/shm", "/var/tmp", ROOT))
    other = next((each for each in places if each.stat().st_dev != here), None)
    if other is None or not overlay_works(tmp_path):
        pytest.skip("a second file system, or an overlay, is missing")
    with tempfile.TemporaryDirectory(dir=other) as lower:
        (Path(lower) / "sub").mkdir()
        (Path(lower) / "file").touch()
        code = "import os; [print(each.inode() - each.stat().st_ino) for each in os.scandir()]"
        mount = Composer(tmp_path / "build", overlay=True).writable("/at", Path(lower))
        _, said = run(tmp_path / "build", f"cd /at && touch new && python3 -c '{code}'", [mount])
    assert said.split() == ["0", "0", "0"], said


@pytest.mark.fault("variables, host name, files, terminal of the host", "a build sees none of them")
def test_what_a_build_sees_of_the_host(tmp_path: Path) -> None:
    os.environ["SECRET_OF_THE_HOST"] = "1"
    script = "env; hostname; ls /; grep CapEff /proc/self/status; umask; ls -A /tmp; tty; cat"
    (result,), said = run(tmp_path, script)
    assert result.status == 0
    lines = said.splitlines()
    assert {line.split("=")[0] for line in lines if "=" in line} <= {"ONLY", "PATH", "PWD"}
    assert "bq2" in lines and os.uname().nodename not in lines
    assert {"home", "root", "etc", "var"}.isdisjoint(lines)
    assert "CapEff:\t0000000000000000" in lines
    assert "0022" in lines and "not a tty" in lines


@pytest.mark.fault(
    "a build that writes to its root, mounts, makes devices, changes its root or name",
    "refused by the kernel",
)
@pytest.mark.parametrize(
    "attempt",
    [
        "echo x > /new",
        "echo x > /usr/new",
        "mount -t tmpfs none /at",
        "mount -o remount,rw /usr",
        "umount /proc",
        "mknod /tmp/disk b 8 0",
        "chroot /at true",
        "hostname other",
        "unshare -n true && mount -t tmpfs none /at",
        "echo 1 > /proc/sys/kernel/panic",
    ],
)
def test_what_a_build_must_not_do(tmp_path: Path, attempt: str) -> None:
    (result,), said = run(tmp_path, attempt)
    assert result.status != 0, said


@pytest.mark.fault("a kernel without seccomp", "a build makes no namespaces there either")
def test_a_kernel_without_seccomp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_such_call = 1 << 20
    monkeypatch.setattr("rootfs.sandbox.enter.refused", lambda *_, **__: (no_such_call, 0, 0, ""))
    (result,), said = run(tmp_path, "grep Seccomp: /proc/self/status; unshare --user true")
    assert result.status != 0
    assert said.splitlines()[0].split() == ["Seccomp:", str(seccomp_outside())]
    assert os.strerror(errno.ENOSPC) in said  # user_namespaces(7)


def seccomp_outside() -> int:
    """What this process is under already: 0 for nothing, 2 for a filter (proc_pid_status(5))."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("Seccomp:")[2].split()[0])


@pytest.mark.fault("a build that connects to a server on this machine", "it has no network")
def test_there_is_no_network(tmp_path: Path) -> None:
    """A server on the host's loopback: reachable from here, not from inside."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        socket.create_connection(("127.0.0.1", port), 1).close()
        connect = f'exit(!IO::Socket::INET->new("127.0.0.1:{port}"))'
        (result,), _ = run(tmp_path, f"perl -MIO::Socket::INET -e '{connect}'")
    assert result.status == 1


@pytest.mark.fault("a build that leaves a process running", "it ends with the build")
def test_nothing_outlives_the_sandbox(tmp_path: Path) -> None:
    marker = f"{os.getpid()}.25"
    (result,), _ = run(tmp_path, f"sleep {marker} & sleep 0.1; true")
    assert result.status == 0
    running = subprocess.run(["pgrep", "-f", f"sleep {marker}"], capture_output=True, check=False)
    assert running.stdout == b""


@pytest.mark.fault("the process that builds is killed with SIGKILL", "all that it started ends")
def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    marker = f"{os.getpid()}.75"
    code = (
        "from pathlib import Path\n"
        "from tests.rootfs.sandbox.test_namespaces import run\n"
        f"run(Path({str(tmp_path)!r}), 'sleep {marker}')\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[3])
    find = ["pgrep", "-xf", f"sleep {marker}"]

    def runs() -> bool:
        return bool(subprocess.run(find, capture_output=True, check=False).stdout)

    until(runs, "the sandbox")
    parent.kill()
    parent.wait()
    until(lambda: not runs(), "the end of the build")


@pytest.mark.fault("a command that is killed, or missing", "its status; what follows is not run")
def test_each_command_reports_how_it_ended(tmp_path: Path) -> None:
    place = Sandbox(
        tmp_path,
        root_of_host(tmp_path),
        [bound("/usr", Path("/usr")), scratch("/tmp")],
        {"PATH": "/usr/bin"},
    )
    commands = [
        Command(("true",), "/"),
        Command(("sh", "-c", "kill -9 $$"), "/tmp"),
        Command(("true",), "/"),
    ]
    results = enter(place, commands, log=tmp_path / "log")
    assert [result.status for result in results] == [0, 128 + 9]
    missing = enter(place, [Command(("no-such-program",), "/")], log=tmp_path / "log")
    assert [result.status for result in missing] == [127]
    assert "no-such-program" in (tmp_path / "log").read_text()


@pytest.mark.fault(
    "a sandbox that cannot be had",
    "one error with the remedy; nothing is built outside of it",
)
def test_what_cannot_be_had_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    missing = bound("/at", tmp_path / "missing")
    with pytest.raises(BuildError) as caught:
        run(tmp_path / "x", "true", [missing])
    assert "mount" in caught.value.message and "ENOENT" in caught.value.message
    assert caught.value.hint


@pytest.mark.fault("a build that writes into its source", "the tree in the cache stays as it was")
@pytest.mark.parametrize("overlay", [True, False], ids=["overlay", "links"])
def test_composed_trees_read_as_one_and_stay_untouched(tmp_path: Path, overlay: bool) -> None:
    if overlay:
        assert overlay_works(tmp_path / "trial")
    lower, upper = tmp_path / "a,b:c", tmp_path / "upper"
    for tree, text in ((lower, "low"), (upper, "up")):
        (tree / "d").mkdir(parents=True)
        (tree / "d" / tree.name).write_text(text)
        (tree / "both").write_text(text)
    composer = Composer(tmp_path / "composer", overlay)
    (tmp_path / "composer").mkdir()
    at = composer.readonly("/at", [lower, upper])
    (result,), said = run(tmp_path / "run", "ls /at/d; cat /at/both; echo x > /at/new", [at])
    assert result.status != 0
    assert said.split()[:3] == ["a,b:c", "upper", "up"] or "up" in said
    writable = composer.writable("/at", lower)
    (result,), said = run(tmp_path / "run2", "echo new > /at/both; cat /at/both", [writable])
    assert (result.status, said) == (0, "new\n")
    assert (lower / "both").read_text() == "low"


@pytest.mark.fault("120 layers in one overlay", "they fit")
def test_many_layers_fit(tmp_path: Path) -> None:
    assert overlay_works(tmp_path / "trial")
    layers = []
    for number in range(120):
        layer = tmp_path / ("layer" * 20 + str(number))
        layer.mkdir()
        (layer / f"file{number}").touch()
        layers.append(layer)
    (tmp_path / "composer").mkdir()
    at = Composer(tmp_path / "composer", True).readonly("/at", layers)
    (result,), said = run(tmp_path / "run", "ls /at | wc -l", [at])
    assert (result.status, said.strip()) == (0, "120")


@pytest.mark.fault("an ordinary user builds", "the same sandbox as root's")
def test_an_ordinary_user_gets_the_same_sandbox() -> None:
    """Its own files, its own namespaces, root inside."""
    with open_directory() as directory:
        command = [*AS_ORDINARY, ordinary_python(), "-I", "-c", own_sandbox(directory)]
        done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        overlay, status, log = json.loads(done.stdout)
        assert overlay and status == 0
        assert log.splitlines()[-3:] == ["0", "new", "-rw-r--r--"]


def own_sandbox(directory: Path) -> str:
    """Code that makes a sandbox in `directory`; it prints whether with an overlay, and the log."""
    here = Path(__file__).resolve()
    # The checkout may lie where that user may not look: take along what is needed.
    for package in ("plan", "rootfs"):
        subprocess.run(["cp", "-r", here.parents[3] / package, directory], check=True)
    return (
        "import os, sys, json\n"
        f"sys.path.insert(0, {str(directory)!r})\n"
        "from pathlib import Path\n"
        "from plan.model import Command\n"
        "from rootfs.sandbox.compose import Composer, bound, scratch\n"
        "from rootfs.sandbox.enter import Sandbox, enter, overlay_works\n"
        f"directory = Path({str(directory)!r}) / 'own'\n"
        "directory.mkdir()\n"
        "overlay = overlay_works(directory)\n"
        "assert not list(directory.glob('overlay-trial-*')), 'the trial is left behind'\n"
        "points = directory / 'points'\n"
        "for name in ('proc', 'dev', 'tmp', 'usr', 'at'): (points / name).mkdir(parents=True)\n"
        "for name in ('bin', 'lib', 'lib64'): (points / name).symlink_to('usr/' + name)\n"
        "(directory / 'low').mkdir(); (directory / 'low' / 'x').write_text('old')\n"
        "at = Composer(directory, overlay).writable('/at', directory / 'low')\n"
        "usr = bound('/usr', Path('/usr'))\n"
        "place = Sandbox(directory, bound('/', points), [usr, at], {'PATH': '/usr/bin'})\n"
        "script = 'id -u; echo new > /at/x; cat /at/x; touch /at/y; ls -ln /at/y | cut -c1-10'\n"
        "results = enter(place, [Command(('sh', '-c', script), '/')], log=directory / 'log')\n"
        "print(json.dumps([overlay, results[0].status, (directory / 'log').read_text()]))\n"
    )


@pytest.mark.fault(
    "the root has no Python, or another one; the host's Python imports a module late",
    "a command starts all the same",
)
def test_nothing_is_imported_from_the_new_root() -> None:
    script = (
        "import sys\n"
        f"sys.path.insert(0, {os.fspath(Path(namespaces.__file__).parent)!r})\n"
        "import namespaces\n"
        # What Python 3.13 has not imported by then.
        "sys.path.clear(); sys.modules.pop('warnings', None)\n"
        "namespaces.execute({'argv': ['sh', '-c', 'exit 7'], 'cwd': '/'}, {'PATH': '/no:/bin'})\n"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], check=False)
    assert done.returncode == 7
