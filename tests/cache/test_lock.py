"""cache/lock.py: one run per work directory; a lock never outlives its holder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cache.lock import WorkLock
from plan.errors import BuildError

ROOT = Path(__file__).parents[2]
HOLD = """
import sys
from pathlib import Path
from cache.lock import WorkLock
lock = WorkLock(Path(sys.argv[1]))
lock.take("doit image")
print("held", flush=True)
sys.stdin.read()
"""


def test_the_holder_is_named(tmp_path: Path) -> None:
    first, second = WorkLock(tmp_path / "work"), WorkLock(tmp_path / "work")
    first.take("doit image set=base")
    with pytest.raises(BuildError) as caught:
        second.take("doit pkg")
    assert f"in use by process {os.getpid()} (doit image set=base)" in caught.value.message
    assert caught.value.where == str(tmp_path / "work")
    assert "workdir=" in (caught.value.hint or "")
    WorkLock(tmp_path / "other").take("doit pkg")
    first.release()
    first.release()
    second.take("doit pkg")
    with pytest.raises(BuildError, match=r"\(doit pkg\)"):
        first.take("doit image")


def test_a_holder_whose_words_are_no_utf8(tmp_path: Path) -> None:
    work = tmp_path / "caf\udce9"
    holder = WorkLock(work)
    holder.take("doit pkg:b\udce9")
    with pytest.raises(BuildError, match="doit pkg:b\udce9"):
        WorkLock(work).take("doit image")
    assert holder.holder() == f"process {os.getpid()} (doit pkg:b\udce9)"


@pytest.mark.fault(
    "who holds a work directory is killed",
    "the next run has it at once",
)
@pytest.mark.parametrize("end", [signal.SIGKILL, None], ids=["killed", "ended"])
def test_it_goes_with_its_holder(tmp_path: Path, end: signal.Signals | None) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout and holder.stdout.readline() == "held\n"
        lock = WorkLock(tmp_path)
        with pytest.raises(BuildError, match=rf"process {holder.pid} \(doit image\)"):
            lock.take("doit pkg")
        if end:
            holder.send_signal(end)
    lock.take("doit pkg")
    assert f"process {os.getpid()} (doit pkg)" in lock.path.read_text()


@pytest.mark.fault(
    "a process that a run started lives on",
    "the work directory is free all the same",
)
def test_a_child_of_the_holder_does_not_keep_it(tmp_path: Path) -> None:
    """A step's process that somehow lives on must not block the work directory."""
    lock = WorkLock(tmp_path)
    lock.take("doit pkg")
    with subprocess.Popen(["sleep", "60"], close_fds=False) as child:
        lock.release()
        try:
            WorkLock(tmp_path).take("doit image")
        finally:
            child.kill()
