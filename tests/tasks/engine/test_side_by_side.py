"""tasks/engine/side_by_side.py: results, errors, and the end of a process that has work left."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tasks.engine.side_by_side import SideBySide

ROOT = Path(__file__).resolve().parents[3]
END = """
import sys, threading, time
from tasks.engine.side_by_side import SideBySide

begun = threading.Event()

def work(number):
    print(number, flush=True)
    begun.set()
    time.sleep(1000)

def run():
    with SideBySide(1) as pool:
        for _ in pool.map(work, range(9)):
            pass

if sys.argv[1] == "beside":
    threading.Thread(target=run, daemon=True).start()
    begun.wait()
    sys.exit(7)
with SideBySide(1) as pool:
    pool.map(work, range(9))
    begun.wait()
    sys.exit(7)
"""


def test_results_are_in_order() -> None:
    with SideBySide(3) as pool:
        assert [*pool.map(str, range(20))] == [str(number) for number in range(20)]
        assert pool.submit(divmod, 7, 2).result() == (3, 1)


def test_after_an_error_nothing_more_is_begun() -> None:
    begun = []

    def work(number: int) -> None:
        begun.append(number)
        if number == 0:
            raise ValueError(number)
        while not pool._is_over:  # what is on its way when the error comes
            time.sleep(0.01)

    with pytest.raises(ValueError, match="0"), SideBySide(1) as pool:
        for _ in pool.map(work, range(1000)):
            pass
    assert begun in ([0], [0, 1])


@pytest.mark.fault(
    "Ctrl-C while steps and sources are sent to a shared cache, taken from it, or checked there",
    "the run ends at once; what waits is not begun",
)
@pytest.mark.parametrize("where", ["beside", "in front"])
def test_a_process_ends_whatever_is_left(where: str) -> None:
    command = [sys.executable, "-c", END, where]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180)
    assert (done.returncode, done.stdout) == (7, "0\n"), done


def test_nothing_here_uses_threads_that_delay_the_end() -> None:
    users = [path for path in (ROOT / "tasks").rglob("*.py") if "PoolExecutor" in path.read_text()]
    assert not users
