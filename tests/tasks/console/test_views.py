"""progress=: the output of a run on a terminal, in a pipe and for a program; broken consoles."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import struct
import subprocess
import termios
import time

import pytest

from tests.rootfs.terminal import Terminal
from tests.tasks.toy import SCRIPTS, SECONDS, Checkout, doit, until

pytestmark = pytest.mark.namespace

# Runs doit in the checkout argv[1] with the environment argv[2].
RUN = """
import json, os, sys
os.chdir(sys.argv[1])
os.execve(sys.executable, [sys.executable, "-m", "doit", *sys.argv[3:]], json.loads(sys.argv[2]))
"""
# A step that shows how far it is, and goes on when the test wants it to.
SLOW = "echo '[3/7] cc'\nwhile [ ! -e /build/go ]; do sleep 0.1; done\necho > $share/bottom"


def on_terminal(toy: Checkout, *words: str, **variables: str) -> Terminal:
    environment = toy.environment | {"TERM": "xterm"} | variables
    environment.pop("CI", None)
    return Terminal(RUN, str(toy.root), json.dumps(environment), *words)


def resize(terminal: Terminal, columns: int) -> None:
    fcntl.ioctl(terminal.master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))


def go_on(toy: Checkout) -> None:
    """Let the step go on; it is told that it runs before it does."""
    builds = toy.root / "work" / "build"
    until(lambda: any(builds.glob("*/bottom/log")), "the step")
    # What the sandbox shows as /build.
    for upper in builds.glob("*/bottom/*build*"):
        (upper / "go").touch()


def test_the_panel_shows_what_runs_below_what_is_done(toy: Checkout) -> None:
    toy.recipe("bottom", SLOW)
    with on_terminal(toy, "pkg") as terminal:
        resize(terminal, 100)
        terminal.expect(b"building 1")
        terminal.expect(b"  [3/7]")
        terminal.expect(b"0 of 5")
        terminal.expect(b"memory ")
        terminal.expect(b"\x1b[1F")
        go_on(toy)
        terminal.expect(b"pkg:kernel")
        assert terminal.process.wait(SECONDS) == 0


@pytest.mark.parametrize(
    ("variables", "words"),
    [({"CI": "1"}, ()), ({"TERM": "dumb"}, ()), ({}, ("progress=plain",))],
)
def test_plain_lines_on_terminals_that_want_no_panel(
    toy: Checkout, variables: dict[str, str], words: tuple[str, ...]
) -> None:
    environment = toy.environment | {"TERM": "xterm"} | variables
    if "CI" not in variables:
        environment.pop("CI", None)
    with Terminal(RUN, str(toy.root), json.dumps(environment), "pkg", *words) as terminal:
        terminal.expect(b"pkg:kernel          built in ")
        assert terminal.process.wait(SECONDS) == 0
        assert b"\x1b" not in terminal.text


def test_json_is_the_events_and_nothing_else(toy: Checkout) -> None:
    toy.recipe("left", "exit 3", "bottom")
    done = toy.doit("pkg", "progress=json")
    assert done.status != 0
    told = [json.loads(line) for line in done.said.splitlines()]
    kept = (toy.root / "work" / "events.jsonl").read_text().splitlines()
    assert told == [json.loads(line) for line in kept]
    kinds = [event["event"] for event in told]
    assert kinds[:2] == ["run", "forecast"] and kinds[-1] == "over"
    (failure,) = (event for event in told if event["event"] == "failure")
    assert failure["step"] == "sysroot-from-seed:left" and told[-1]["status"] == 1
    ends = {event["step"]: event for event in told if event["event"] == "end"}
    assert ends["sysroot-from-seed:bottom"]["artifact"] == toy.stamp("bottom")["artifact"]


def test_a_failure_stands_apart(toy: Checkout) -> None:
    toy.recipe("left", "exit 3", "bottom")
    said = toy.doit("pkg:left").said
    assert re.search(r"\S\n\npkg:left FAILED \(sysroot-from-seed\)\n", said), said


def test_quiet_shows_failures_and_products(toy: Checkout) -> None:
    done = toy.doit("image", "progress=quiet")
    assert re.fullmatch(r"\S+\.qcow2: \d+\.\d MB in \d+\.\d s\n", done.said), done
    toy.recipe("left", "exit 3", "bottom")
    failed = toy.doit("image", "progress=quiet")
    assert failed.said.startswith("\npkg:left FAILED") and "building" not in failed.said


def test_long_runs_begin_with_what_they_will_do(toy: Checkout) -> None:
    toy.recipe("right", SCRIPTS["right"] + "; true", "bottom")
    toy.edit("plan/costs.yaml", "seconds: 34", "seconds: 100")
    units = {"bottom": 2.5, "left": 1, "right": 0, "top": 0}
    rows = "".join(f"  {name}: {{cpu: {units[name]}}}\n" for name in units)
    toy.edit("plan/costs.yaml", "packages:\n", f"packages:\n{rows}")
    toy.edit("plan/costs.yaml", "  kernel: {cpu: 0.39}", "  kernel: {cpu: 0}")
    said = toy.doit("pkg", "jobs=1").said
    assert said.startswith("5 steps to build: about 6 min\n"), said
    # What was built once is known; what the store holds is not built.
    toy.edit("plan/recipes/right.yaml", "; true", "; true; true")
    assert "steps to build" not in toy.doit("pkg", "jobs=1").said


def test_a_console_that_cannot_show_a_character(toy: Checkout) -> None:
    assert toy.doit("pkg").status == 0
    toy.edit("plan/recipes/left.yaml", "version: '1'", "version: '2'")
    done = toy.doit("why", "left", PYTHONIOENCODING="ascii")
    assert done.status == 0 and "version: 1 ? 2" in done.said
    assert toy.doit("list", PYTHONIOENCODING="ascii", LC_ALL="C").status == 0


def test_a_reader_that_went_away_does_not_end_the_build(toy: Checkout) -> None:
    toy.recipe("bottom", "sleep 1; echo > $share/bottom")
    process = toy.start(doit("pkg"))
    assert process.stdout
    process.stdout.close()
    assert process.wait(SECONDS) == 0
    assert toy.stamp("kernel")


def test_with_nohup_a_build_outlives_its_terminal(toy: Checkout) -> None:
    toy.recipe("bottom", SLOW)
    code = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n" + RUN
    environment = toy.environment | {"TERM": "xterm"}
    terminal = Terminal(code, str(toy.root), json.dumps(environment), "pkg")
    terminal.expect(b"building 1")
    os.close(terminal.slave)
    os.close(terminal.master)
    terminal.process.send_signal(signal.SIGHUP)
    log = toy.root / "work" / "build" / "sysroot-from-seed" / "bottom" / "log"
    until(lambda: log.exists() and "[3/7]" in log.read_text(), "the step")
    time.sleep(1.5)  # the panel is drawn on what is no more
    go_on(toy)
    try:
        assert terminal.process.wait(SECONDS) == 0
    except subprocess.TimeoutExpired:
        terminal.process.kill()
        raise
    assert toy.stamp("kernel")
