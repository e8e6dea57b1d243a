"""The panel on a real terminal: narrow, wide, resized, typed on, light or dark, slow."""

from __future__ import annotations

import fcntl
import json
import os
import re
import select
import shlex
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tasks.console import console
from tasks.console.panel import Panel
from tasks.console.views import Plain, attach
from tasks.engine.records.watch import Running
from tests.rootfs.terminal import Terminal
from tests.tasks.console.test_views import RUN, SLOW, go_on, resize
from tests.tasks.console.tmux import Tmux
from tests.tasks.toy import SECONDS, Checkout, doit, processes, until

pytestmark = pytest.mark.namespace
PIPE = 4096  # bytes
MODES = "modes"  # of the terminal, when the run has ended


@contextmanager
def panel(
    toy: Checkout, columns: int, *words: str, shows: str = "[3/7]", **variables: str
) -> Iterator[Tmux]:
    """The screen of a run, once the panel is on it, with the text `shows`."""
    if shutil.which("tmux") is None:
        pytest.skip("needs tmux")
    (toy.root / MODES).unlink(missing_ok=True)
    then = f'"$@"; stty -a > new; mv new {MODES}'
    command = ["sh", "-c", then, "sh", *doit("pkg", *words)]
    environment = toy.environment | variables
    with Tmux(command, where=toy.root, environment=environment, columns=columns) as terminal:
        until(lambda: shows in terminal.screen(), "the panel", terminal.screen)
        yield terminal


def rows(screen: str) -> list[str]:
    """The rows from the panel's first on; none if it is not there."""
    lines = screen.rstrip("\n").splitlines()
    return lines[next((n for n, line in enumerate(lines) if "[3/7]" in line), len(lines)) :]


def whole(terminal: Tmux) -> list[str]:
    """The panel's two rows, once the terminal has got all of them."""
    found: list[str] = []

    def came() -> bool:
        found[:] = rows(terminal.screen())
        return len(found) == 2 and re.search(r" \| \d+:\d\d", found[1]) is not None

    until(came, "the rows of the panel", terminal.screen)
    return found


def over(toy: Checkout, terminal: Tmux) -> None:
    """Wait until the run has ended, and see that no process of it is left."""
    until((toy.root / MODES).exists, "the end", terminal.screen)
    left = processes(str(toy.root)).values()
    assert not [line for line in left if not line.startswith("tmux ")]


def clock(terminal: Tmux) -> int:
    """The seconds that the step has run, as the panel shows them."""
    shown = re.findall(r"bottom +(\d+):(\d\d)  \[3/7\]", terminal.screen())
    return max((60 * int(minutes) + int(seconds) for minutes, seconds in shown), default=0)


def drawn_after(terminal: Tmux, then: int) -> None:
    """Wait for a panel that was begun when the clock had shown `then`."""
    until(lambda: clock(terminal) > then + 1, "the next panel", terminal.screen)


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_what_matters_most_is_on_a_terminal_of_any_width(toy: Checkout, columns: int) -> None:
    toy.recipe("bottom", SLOW)
    with panel(toy, columns) as terminal:
        step, summary = whole(terminal)
        assert re.match(r"bottom +\d:\d\d  \[3/7\]", step)
        left = r"(about|at least) \d+ s to go|longer than expected"
        assert re.match(rf"0 of 5 \| ({left}) \| \d:\d\d", summary), summary
        assert ("memory" in summary) == (columns >= 80)
        assert ("disk" in summary) == (columns == 200)


@pytest.mark.fault(
    "a terminal is resized, or typed on, while a panel is on it",
    "no row of an older panel stays on the screen",
)
def test_nothing_stale_stays_on_a_screen_that_is_resized_and_typed_on(toy: Checkout) -> None:
    toy.recipe("bottom", SLOW)
    with panel(toy, 100) as terminal:

        def is_clean() -> bool:
            screen = terminal.screen()
            return (len(rows(screen)), screen.count(" of 5"), "typed" in screen) == (2, 1, False)

        for columns in (30, 90, 40, 200, 25):
            then = clock(terminal)
            terminal.resize(columns)
            terminal.type("typed")
            terminal.enter()
            terminal.enter()
            drawn_after(terminal, then)
            until(is_clean, "a panel with nothing stale", terminal.screen)
        go_on(toy)
        over(toy, terminal)
        assert " of 5" not in terminal.screen()
    assert " echo " in (toy.root / MODES).read_text()


@pytest.mark.fault(
    "Ctrl-Z during a build, then `fg` or `bg`",
    "the builds wait too, no row of the panel stays, and `fg` shows it again",
)
def test_a_paused_run_leaves_nothing_on_the_terminal(toy: Checkout) -> None:
    if shutil.which("tmux") is None:
        pytest.skip("needs tmux")
    toy.recipe("bottom", SLOW.replace("do ", "do echo >> /build/ticks; "))
    shell = ["env", "PS1=$ ", "bash", "--norc", "-i"]
    with Tmux(shell, where=toy.root, environment=toy.environment, columns=80) as terminal:

        def does(line: str, shows: str) -> None:
            terminal.type(line)
            terminal.enter()
            until(lambda: shows in terminal.screen(), shows)

        def pauses() -> None:
            terminal.press("C-z")
            until(lambda: terminal.screen().rstrip().endswith("\n$"), "the prompt")
            assert "[3/7]" not in terminal.screen() and " of 5" not in terminal.screen()

        does(f"clear; {shlex.join(doit('pkg'))}", "[3/7]")
        pauses()
        ticks = next((toy.root / "work" / "build").glob("*/bottom/*build*/ticks"))
        size = ticks.stat().st_size
        does("stty -a | grep -o ' echo '; sleep 2; echo he''re", "here")
        assert ticks.stat().st_size == size and " of 5" not in terminal.screen()
        does("clear; fg", " of 5")
        whole(terminal)
        pauses()
        does("clear; bg; sleep 2; echo he''re", "here")
        until(lambda: ticks.stat().st_size > size, "what the build does in the background")
        assert " of 5" not in terminal.screen()
        does("clear; fg", " of 5")
        go_on(toy)
        until(lambda: "pkg:kernel" in terminal.screen(), "the end")
        terminal.type("exit")
        terminal.enter()


def test_colours_are_for_terminals_that_want_them(toy: Checkout) -> None:
    toy.recipe("bottom", SLOW)
    toy.recipe("left", "exit 3", "bottom")
    for variables in ({}, {"NO_COLOR": "1"}):
        with panel(toy, 80, **variables) as terminal:
            drawn = terminal.screen(colours=True)
            go_on(toy)
            until(lambda: "pkg:left FAILED" in terminal.screen(), "the failure")
            ended = terminal.screen(colours=True)
        coloured = re.search(r"\x1b\[1mbottom", drawn), re.search(r"31mpkg:left FAILED", ended)
        assert [bool(each) for each in coloured] == [not variables] * 2
        assert ("\x1b[" in drawn) == (not variables), drawn
        assert "\x1b" not in toy.doit("pkg").said
        assert toy.doit("forget", "pkg:bottom").status == 0


def test_the_remaining_time_counts_down_and_a_late_step_is_told(toy: Checkout) -> None:
    rows = "  bottom: {cpu: 40}\n  left: {cpu: 0}\n  right: {cpu: 0}\n  top: {cpu: 0}\n"
    toy.edit("plan/costs.yaml", "seconds: 34", "seconds: 1")
    toy.edit("plan/costs.yaml", "packages:\n", f"packages:\n{rows}")
    toy.edit("plan/costs.yaml", "  kernel: {cpu: 0.39}", "  kernel: {cpu: 0}")
    wait = "while [ ! -e /build/go ]; do sleep 0.1; done; echo > $share/bottom"
    toy.recipe("bottom", wait)
    with panel(toy, 80, "jobs=1", shows="0 of 5 | about ") as terminal:
        left: list[int] = []

        def told() -> bool:
            found = re.search(r"0 of 5 \| about (\d+) s to go", terminal.screen())
            left.extend({int(found[1])}.difference(left) if found else ())
            return len(left) == 4

        until(told, "four different times", terminal.screen)
        assert left[0] > left[1] > left[2] > left[3] > 0, left
        go_on(toy)
        over(toy, terminal)
    # Built once in some seconds, it is late after as many and a few more.
    toy.recipe("bottom", f"{wait}; true")
    with panel(toy, 80, "jobs=1", shows="  longer than last time\n") as terminal:
        words = re.compile(r"0 of \d \| (at least 0 s|longer than last)")
        until(lambda: words.search(terminal.screen()) is not None, "the words", terminal.screen)


def test_a_slow_line_does_not_slow_the_build(toy: Checkout) -> None:
    """The panel is drawn less often where a terminal takes a hundred bytes a second."""
    toy.recipe("bottom", "echo '[3/7] cc'; sleep 12; echo > $share/bottom")
    environment = toy.environment | {"TERM": "xterm"}
    environment.pop("CI", None)
    with Terminal(RUN, str(toy.root), json.dumps(environment), "pkg") as terminal:
        resize(terminal, 200)
        begin, read = time.monotonic(), b""
        while terminal.process.poll() is None:
            assert time.monotonic() < begin + SECONDS
            if select.select([terminal.master], [], [], 0.1)[0]:
                read += os.read(terminal.master, 30)
            time.sleep(0.1)
    assert toy.stamp("kernel")


def test_after_a_slow_drawing_the_panel_rests(
    toy: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe that is full, until its reader reads, is such a line."""
    begun = threading.Event()

    def read() -> None:
        begun.wait()
        time.sleep(0.5)
        os.read(reader, PIPE)

    def size() -> tuple[int, int]:
        begun.set()
        return 80, 24

    project = toy.project()
    project.workdir.mkdir()
    task = project.plan.steps[0].task
    project.watch.running[task] = Running(Path("log"), time.monotonic())
    reader, writer = os.pipe()
    os.write(writer, b"x" * fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE))
    with os.fdopen(writer, "w") as line:
        monkeypatch.setattr("tasks.console.console._stdout", line)
        monkeypatch.setattr("tasks.console.console._printer", None)
        drawn = Panel(Plain(project.plan.set.phase), project)
        monkeypatch.setattr("tasks.console.console.size", size)
        threading.Thread(target=read).start()
        drawn.refresh()
        assert b"0 of 0" in os.read(reader, PIPE)
        drawn.refresh()
        assert select.select([reader], [], [], 0)[0] == []
    os.close(reader)


@pytest.mark.fault(
    "two threads of a run print at the same moment", "both print, and none waits for ever"
)
@pytest.mark.parametrize("view", ["live", "json"])
def test_threads_that_print_at_once_do_not_stop_each_other(
    toy: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, view: str
) -> None:
    """While one is about to print, and has the view's lock, the other one begins to."""
    project = toy.project(progress=view)
    project.workdir.mkdir()
    project.watch.running[project.plan.steps[0].task] = Running(Path("log"), time.monotonic())
    other = threading.Thread(target=lambda: console.say("of the other"), daemon=True)

    def begin(*arguments: object) -> tuple[int, int]:
        if other.ident is None:
            other.start()
            other.join(0.3)  # until it waits
        return 80, 24

    with (tmp_path / "said").open("w") as file:
        monkeypatch.setattr(console, "_stdout", file)
        monkeypatch.setattr(console, "_printer", None)
        monkeypatch.setattr(console, "size", begin)
        attach(project)
        if view == "json":
            project.events.listeners.insert(0, begin)
            draw = partial(project.events.begin, command=[])
        else:
            draw = project.watch.listeners[-1]
        one = threading.Thread(target=draw, daemon=True)
        one.start()
        for thread in (one, other):
            thread.join(10)
            assert not thread.is_alive()
    assert "of the other" in (tmp_path / "said").read_text()
