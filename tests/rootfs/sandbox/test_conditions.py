"""Other conditions: real namespaces, observed from inside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rootfs.sandbox.conditions import TOP, Conditions, refused, run
from tests.rootfs.terminal import gone

pytestmark = pytest.mark.namespace

LOOK = """\
import json, os, socket, sys
old = os.umask(0)
print(json.dumps([os.getuid(), socket.gethostname(), old, os.listdir(sys.argv[1])]))
"""


def look(conditions: Conditions, tmp_path: Path) -> list[object]:
    log, directory = tmp_path / "log", tmp_path / "directory"
    command = [sys.executable, "-c", LOOK, os.fspath(directory)]
    assert run(command, conditions, environment={}, log=log) == 0, log.read_text()
    return list(json.loads(log.read_text()))


def test_only_what_is_asked_for_is_other(tmp_path: Path) -> None:
    directory = tmp_path / "directory"
    directory.mkdir()
    (directory / "file").touch()
    os.umask(umask := os.umask(0))
    usual = [os.getuid(), os.uname().nodename, umask, ["file"]]
    assert look(Conditions(), tmp_path) == usual
    assert look(Conditions(user=77), tmp_path) == [77, *usual[1:]]
    assert look(Conditions(host="there"), tmp_path) == [usual[0], "there", *usual[2:]]
    assert look(Conditions(umask=0o77), tmp_path) == [*usual[:2], 0o77, ["file"]]
    memory = Conditions(memory={os.fspath(directory): {"link": "/x"}}, limit=1 << 20)
    assert look(memory, tmp_path) == [*usual[:3], ["link"]]
    assert not refused(memory, tmp_path)


def test_what_is_inherited(tmp_path: Path) -> None:
    code = (
        "import os, resource, signal; from pathlib import Path; Path('file').touch(mode=0o666); "
        "print(len(os.sched_getaffinity(0)), os.nice(0), signal.getsignal(1) == signal.SIG_IGN, "
        "resource.getrlimit(7)[0], oct(os.stat('file').st_mode)[-3:])"
    )
    log = tmp_path / "log"

    def told(conditions: Conditions) -> list[str]:
        command = ["sh", "-c", f'cd {tmp_path}; rm -f file; exec "$@"', "sh", sys.executable]
        environment = {"PATH": "/usr/bin:/bin"}
        assert run([*command, "-c", code], conditions, environment=environment, log=log) == 0
        return log.read_text().split()

    usual, fewer = told(Conditions(umask=0)), told(Conditions(umask=0, one_processor=True))
    assert fewer == ["1", *usual[1:]]
    other = told(Conditions(umask=0, caller=True))
    nice, soft = int(usual[1]), int(usual[3])
    assert other == [usual[0], str(min(nice + 1, 19)), "True", str(soft // 2), "666"]
    kernel = ["sh", "-c", "uname -r; cat /proc/self/personality"]
    both = Conditions(caller=True, personality=True)
    assert run(kernel, both, environment={"PATH": "/usr/bin:/bin"}, log=log) == 0
    assert log.read_text().split()[0][:4] == "2.6." and log.read_text().split()[1] == "00260000"
    assert told(Conditions(umask=0, above=[os.fspath(tmp_path)])) == [*usual[:4], "660"]


def test_what_cannot_be_had(tmp_path: Path) -> None:
    assert "sethostname" in refused(Conditions(host="x" * 65), tmp_path)


def test_it_dies_with_who_called(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    code = (
        "import pathlib; from rootfs.sandbox.conditions import Conditions, run\n"
        f"run(['sh', '-c', 'echo $$ > {mark}; exec sleep 1000'], Conditions(user=77),"
        f" environment={{'PATH': '/usr/bin:/bin'}}, log=pathlib.Path('{tmp_path}/log'))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=TOP)
    while not mark.exists() or not mark.read_text():
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert gone(int(mark.read_text())), "it goes on"
