"""The store under load: builds, gc and fsck of several checkouts at once; files that vanish."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tasks.test_gc import LATER
from tests.tasks.toy import SCRIPTS, SECONDS, Checkout, Done, doit, make_checkout, until

pytestmark = pytest.mark.namespace

LOAD = 20  # seconds
COPY = "cat /sysroot/usr/share/bottom > $share/left"
# Until the tree vanishes; some seconds if it stays, as in the second build.
LASTS = """\
n=0
while [ -e /sysroot/usr/share/bottom ] && [ $n -lt 60 ]; do sleep 0.1; n=$((n + 1)); done"""


def lose(toy: Checkout, name: str) -> None:
    """Have the artifact of the package `name` and its tree vanish, as by hand."""
    artifact, tree = toy.artifact(name), toy.tree(name, "")
    artifact.unlink()
    shutil.rmtree(tree)


@pytest.mark.fault(
    "the artifact of a dependency vanishes before a package is built", "it is made again"
)
def test_what_comes_before_vanishes(toy: Checkout) -> None:
    toy.recipe("left", f"while [ ! -e /build/go ]; do sleep 0.1; done; {COPY}", "bottom")
    process = toy.start(doit("pkg:top"))
    until(lambda: (toy.root / "work/stamps/sysroot-from-seed/right.json").exists(), "right")
    left = toy.root / "work/build/sysroot-from-seed/left"
    until((left / "log").exists, "the step")
    lose(toy, "right")
    (left / "new-build" / "go").touch()
    said, _ = process.communicate(timeout=SECONDS)
    done = Done(process.returncode, said)
    assert done.status == 0 and done.built.count("right") == 2, done
    toy.builds("kernel")


@pytest.mark.fault(
    "a tree vanishes while a package is built on it", "that build counts for nothing; once more"
)
def test_what_it_is_built_on_vanishes(toy: Checkout) -> None:
    toy.recipe("left", f"{LASTS}\n{COPY}", "bottom")
    log = toy.root / "work/build/sysroot-from-seed/left/log"
    process = toy.start(doit("pkg:left"))
    until(lambda: log.exists() and "sleep" in log.read_text(), "the step")
    lose(toy, "bottom")
    said, _ = process.communicate(timeout=SECONDS)
    done = Done(process.returncode, said)
    assert done.status == 0 and "an input vanished during the build: it is built again" in said, (
        done
    )
    assert sorted(done.built) == ["bottom", "bottom", "left", "left"], done
    assert toy.tree("left", "usr/share/left").read_text() == "bottom\n"


class Load:
    """Runs things beside each other until the time is over, and keeps what was wrong."""

    def __init__(self) -> None:
        self.end = time.monotonic() + LOAD
        self.wrong: list[Done] = []
        self.runs = 0

    def repeat(self, run: Callable[[], Done]) -> None:
        while time.monotonic() < self.end:
            done = run()
            self.runs += 1
            if done.status or "Traceback" in done.said or "No such file" in done.said:
                self.wrong.append(done)

    def together(self, *runs: Callable[[], Done]) -> None:
        threads = [threading.Thread(target=self.repeat, args=(run,)) for run in runs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def builder(toy: Checkout) -> Callable[[], Done]:
    """Builds that have something to do each time: another `left`, and no stamps."""
    numbers = iter(range(1000))

    def run() -> Done:
        number = next(numbers)
        many = "for i in 1 2 3 4 5 6 7 8 9; do mkdir $share/$i; for j in 1 2 3 4 5 6 7 8 9; do"
        script = f"{SCRIPTS['left']}\n{many} echo {number % 3} > $share/$i/$j; done; done"
        toy.recipe("left", script, "bottom")
        shutil.rmtree(toy.root / "work" / "stamps", ignore_errors=True)
        return toy.doit("pkg")

    return run


@pytest.mark.fault(
    "two checkouts build, while doit gc keep=1, fsck and status run beside them all the time",
    "none of them fails, and what stands is there",
)
def test_all_at_once(template: Path, seed: Path, tmp_path: Path) -> None:
    one, two, beside = (
        make_checkout(template, tmp_path / name, cache=tmp_path / "cache", seed=seed)
        for name in ("one", "two", "beside")
    )
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "sitecustomize.py").write_text(LATER)  # nothing is young: all may go
    later = {"PYTHONPATH": str(tmp_path / "later")}

    def other(*words: str) -> Callable[[], Done]:
        work = f"workdir={tmp_path / words[0]}"
        return lambda: beside.doit(*words, work, **later)

    load = Load()
    load.together(
        *(builder(one), builder(two)),
        *(other("gc", "keep=1"), other("fsck"), other("status")),
    )
    assert load.wrong == [] and load.runs >= 5
    for toy in (one, two):
        assert toy.doit("pkg").status == 0
        assert all(toy.artifact(name).exists() for name in SCRIPTS)
