"""A run that is interrupted during a step: all processes stop, and finished steps are kept."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tasks.toy import DEPENDS, SCRIPTS, SECONDS, Checkout, doit, processes, until

pytestmark = pytest.mark.namespace

KEPT = ["bottom", "right"]
SAID = {
    signal.SIGINT: "was interrupted by Ctrl-C",
    signal.SIGTERM: "was interrupted by a termination signal",
    signal.SIGHUP: "was interrupted by a hang-up of its terminal",
    signal.SIGKILL: "was killed",
}
REST = sorted(set(SCRIPTS) - set(KEPT))


@pytest.fixture
def marker(tmp_path: Path) -> str:
    """What the sleeping step has on its command line, and nothing else in the machine."""
    return f"{1000 + abs(hash(tmp_path)) % 10**9}"


@pytest.fixture
def sleeping(toy: Checkout, marker: str) -> Iterator[subprocess.Popen[str]]:
    """A run whose step `left` sleeps, with all that can be built beside it already built."""
    toy.recipe("left", f"echo begun\nsleep {marker} & sleep {marker}", *DEPENDS["left"])
    toy.recipe("kernel", SCRIPTS["kernel"], "top")
    process = toy.start(doit("pkg"), BQ2_JOBS="2")
    stamps = toy.root / "work" / "stamps" / "sysroot-from-seed"
    until(lambda: all((stamps / f"{name}.json").exists() for name in KEPT), "the rest")
    until(lambda: len(processes(f"sleep {marker}")) >= 2, "the sleeping step")
    yield process
    process.kill()
    process.communicate()


@pytest.mark.fault(
    "a run is ended by Ctrl-C, SIGTERM, SIGHUP or kill -9",
    "no process of it is left; the next run builds what is left, and nothing else",
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_an_ended_run_leaves_no_process_and_loses_no_package(
    toy: Checkout, sleeping: subprocess.Popen[str], marker: str, number: signal.Signals
) -> None:
    sleeping.send_signal(number)
    said, _ = sleeping.communicate(timeout=SECONDS)
    until(lambda: not processes(marker), "the end of all that the run started")
    if number == signal.SIGKILL:
        assert sleeping.returncode == -number
    else:
        assert sleeping.returncode == 128 + number, said
        assert said.count("interrupted: finished builds are kept") == 1
        assert "FAILED" not in said and "Traceback" not in said, said
    assert not list(toy.root.rglob("*.part")), "half-written files"
    toy.recipe("left", SCRIPTS["left"], *DEPENDS["left"])
    toy.builds(*REST)


@pytest.mark.fault(
    "Ctrl-C in a run in which a package has failed", "its status is that of the signal, everywhere"
)
def test_a_run_with_a_failure_is_ended(toy: Checkout, marker: str) -> None:
    toy.recipe("left", f"sleep {marker}", *DEPENDS["left"])
    toy.recipe("right", "exit 3", *DEPENDS["right"])
    process = toy.start(doit("pkg"), BQ2_JOBS="2")
    failed = toy.root / "work" / "failures" / "sysroot-from-seed-right.json"
    until(failed.exists, "the failure")
    until(lambda: bool(processes(f"sleep {marker}")), "the sleeping step")
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 130, said
    assert json.loads(toy.doit("status", "json=1").said)["runs"][0]["status"] == 130


@pytest.mark.fault(
    "`status` or `report` is asked for a run that was ended by Ctrl-C, SIGTERM, SIGHUP or kill -9",
    "both say what ended the run; while a run is running, both say that, and for how long",
)
@pytest.mark.parametrize("number", SAID)
def test_how_a_run_ended_is_told(
    toy: Checkout, sleeping: subprocess.Popen[str], number: signal.Signals
) -> None:
    page = toy.root / "output" / "bootstrap-qcow2-base-x86_64.report.html"
    assert f"running: process {sleeping.pid} (doit pkg), for " in toy.doit("status").said
    assert toy.doit("report").status == 0
    text = page.read_text()
    assert "is running, for " in text and "is running: left" in text
    assert not [how for how in ("killed", "not finished", "interrupted") if how in text]
    sleeping.send_signal(number)
    sleeping.communicate(timeout=SECONDS)
    (last,) = json.loads(toy.doit("status", "json=1").said)["runs"]
    assert last["status"] == (None if number == signal.SIGKILL else 128 + number)
    told = toy.doit("status").said
    assert re.search(f"last run: doit pkg, .* ago, {SAID[number]}", told), told
    assert toy.doit("report").status == 0
    text = page.read_text()
    assert SAID[number] in text and "not finished: left" in text and "is running" not in text
    # The next run is told before it.
    toy.recipe("left", "exit 3", *DEPENDS["left"])
    assert toy.doit("pkg").status != 0
    told = toy.doit("status").said
    assert re.search("last run: doit pkg, .* ago, failed with status 1 after", told), told
    assert re.search(f"before: +doit pkg, .* ago, {SAID[number]}", told), told


@pytest.mark.fault(
    "a second run in the same work directory",
    "it says who is at work there; it goes when its holder is killed",
)
def test_a_second_run_says_who_holds_the_work_directory(
    toy: Checkout, sleeping: subprocess.Popen[str]
) -> None:
    second = toy.doit("image")
    assert second.status != 0
    assert f"in use by process {sleeping.pid} (doit pkg)" in second.said
    assert "workdir=PATH" in second.said and "Traceback" not in second.said
    # What only shows something is possible all the same, and so is another work directory.
    assert toy.doit("settings").status == 0
    assert toy.doit("forget", "pkg:bottom").status == 0
    assert toy.doit("pkg:bottom", "workdir=other").from_store == ["bottom"]
    sleeping.kill()
    sleeping.wait()
    assert toy.doit("pkg:bottom").built == ["bottom"]


def _children(pid: int) -> list[int]:
    found: list[str] = []
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # the thread has just ended
            found += thread.read_text().split()
    return [*map(int, found)]


@pytest.mark.fault(
    "the kernel kills a step (out of memory)",
    "that step fails, and says so; the next run builds what is left, and nothing else",
)
def test_a_sandbox_that_somebody_killed(
    toy: Checkout, sleeping: subprocess.Popen[str], marker: str
) -> None:
    """As the kernel does when memory runs out: a failure of that step, and of no other."""
    (child,) = _children(sleeping.pid)
    os.kill(child, signal.SIGKILL)
    said, _ = sleeping.communicate(timeout=SECONDS)
    assert sleeping.returncode != 0
    assert "sysroot-from-seed:left FAILED" in said and "the sandbox was killed from outside" in said
    assert "out of memory?" in said and "Traceback" not in said
    until(lambda: not processes(marker), "the end of all that ran in it")
    toy.recipe("left", SCRIPTS["left"], *DEPENDS["left"])
    toy.builds(*REST)


@pytest.mark.fault(
    "kill -9 again and again, wherever a build is",
    "in the end the artifacts are those of an undisturbed build",
)
def test_killed_at_any_point_the_next_run_goes_on(toy: Checkout, built: Checkout) -> None:
    """The same artifacts in the end, however often and wherever it was cut off."""
    for kills in range(100):
        process = toy.start(doit("pkg"))
        try:
            said, _ = process.communicate(timeout=0.15 * (kills + 1))
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
    assert process.returncode == 0, said
    assert kills > 0, "too quick to be cut off"
    for name in SCRIPTS:
        assert toy.stamp(name)["artifact"] == built.stamp(name)["artifact"]
        assert toy.artifact(name).read_bytes() == built.artifact(name).read_bytes()


RUN = """
import sys
from pathlib import Path
from tasks.console.interrupt import install, run_here
install()
run_here(["sh", "-c", sys.argv[1]], Path())
"""


@pytest.mark.fault(
    "SIGTERM while `ssh` or `test` runs a program", "the program has a minute to clean up"
)
def test_a_program_may_clean_up(tmp_path: Path) -> None:
    cleanup = f"trap 'sleep 1; touch {tmp_path}/clean; exit' TERM; touch {tmp_path}/begun"
    program = f"{cleanup}; while :; do sleep 0.1; done"
    with subprocess.Popen([sys.executable, "-c", RUN, program]) as process:
        try:
            until((tmp_path / "begun").exists, "the program")
            process.terminate()
            assert process.wait(SECONDS) == 128 + signal.SIGTERM
        finally:
            process.kill()
    assert (tmp_path / "clean").exists()
