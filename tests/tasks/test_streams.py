"""A build continues if its input or output is closed before or during the run."""

from __future__ import annotations

import shlex

import pytest

from tests.tasks.toy import SCRIPTS, Checkout, doit

pytestmark = pytest.mark.namespace

UNHURT = "the build goes on, and its events are kept"


@pytest.mark.parametrize(
    "how",
    [
        pytest.param("<&-", marks=pytest.mark.fault("standard input is closed", UNHURT)),
        pytest.param(">&-", marks=pytest.mark.fault("standard output is closed", UNHURT)),
        pytest.param("2>&-", marks=pytest.mark.fault("standard error is closed", UNHURT)),
        pytest.param(
            "<&- >&- 2>&-", marks=pytest.mark.fault("all three of them are closed", UNHURT)
        ),
        pytest.param(
            "> /dev/full 2>&1",
            marks=pytest.mark.fault("the disk of the output is full (/dev/full)", UNHURT),
        ),
        pytest.param(
            "2>&1 | true", marks=pytest.mark.fault("who reads the output goes away", UNHURT)
        ),
    ],
)
def test_without_a_console(toy: Checkout, how: str) -> None:
    toy.recipe("left", f"ls -l /proc/self/fd > $share/fds\n{SCRIPTS['left']}", "bottom")
    toy.run(["sh", "-c", f"{shlex.join(doit('pkg'))} {how}"])
    again = toy.builds()
    assert again.said == "pkg is up to date\n"
    assert toy.doit("status").status == 0
    # Nothing of the host took the place of what was closed.
    descriptors = toy.tree("left", "usr/share/fds").read_text()
    assert "0 -> /dev/null" in descriptors and "events.jsonl" not in descriptors


@pytest.mark.fault("standard output is closed and a step fails", "the status tells, and the report")
def test_a_failure_without_a_console(toy: Checkout) -> None:
    toy.recipe("left", "exit 3", "bottom")
    done = toy.run(["sh", "-c", f"{shlex.join(doit('pkg'))} <&- >&-"])
    assert done.status != 0 and "Traceback" not in done.said
    assert (toy.root / "work/failures/sysroot-from-seed-left.json").exists()
