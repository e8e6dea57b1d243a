"""Each phase of a build, ended in the middle by each signal: the next run succeeds.

    start ──▶ an unfinished file exists ──stop, check──▶ signal ──▶ the same command again

Large inputs make each phase long. The test stops the process as soon as an unfinished file exists.
If the phase has ended before that, it starts again.
"""

from __future__ import annotations

import hashlib
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cache.loopback import HALF, Site
from tests.tasks.test_fetch import PLAIN, with_sources
from tests.tasks.toy import SCRIPTS, Checkout, doit, processes

pytestmark = pytest.mark.namespace

TRIES = 30  # a busy machine may not look at this process while a short phase goes on
# Long enough for the run to end by itself where a signal is not minded at once.
AT_ONCE = 60  # seconds, on a busy machine
SIGNALS = {"kill -9": signal.SIGKILL, "SIGTERM": signal.SIGTERM, "Ctrl-C": signal.SIGINT}
ALL = tuple(SCRIPTS)
# Sparse on its way in, and long to be packed: all bytes are read, hashed and written.
LARGE = "dd if=/dev/zero of=$share/large bs=1M seek=200 count=0\n" + SCRIPTS["bottom"]


@dataclass(frozen=True)
class Phase:
    """What is run, when that is in the middle of the phase, and what the next run has to build."""

    command: str
    reached: Callable[[Checkout], bool]
    rest: tuple[str, ...]


def unfinished(directory: str, name: str) -> Callable[[Checkout], bool]:
    return lambda toy: any((toy.root / directory).glob(f".[0-9]*.{name}*"))


def half_has_come(toy: Checkout) -> bool:
    return any(p.stat().st_size == HALF for p in (toy.cache / "sources/partial").glob("*"))


def registering(toy: Checkout) -> bool:
    """The artifact is there, and the record that names it is not."""
    done = any((toy.cache / "artifacts").glob("[0-9a-f]*.tar"))
    return done and not any((toy.cache / "steps").glob("[0-9a-f]*.json"))


def marker(toy: Checkout) -> str:
    return f"sleep {1000 + abs(hash(toy.root)) % 10**9}"


PHASES = {
    "fetching": Phase("pkg", half_has_come, ALL),
    "unpacking the seed": Phase("pkg", unfinished("../cache/trees", "seed-"), ALL),
    "compiling": Phase("pkg:bottom", lambda toy: bool(processes(marker(toy))), ("bottom",)),
    "packing": Phase("pkg:bottom", unfinished("../cache/artifacts", "bottom"), ("bottom",)),
    "registering": Phase("pkg:bottom", registering, ("bottom",)),
    "the tarball": Phase("sysroot", unfinished("output", "bootstrap"), ()),
    "the image": Phase("image", unfinished("output", "bootstrap"), ()),
}
QUICK = {("packing", "SIGTERM"), ("fetching", "Ctrl-C")}


def cases() -> Iterator[Any]:
    for phase in PHASES:
        for name in SIGNALS:
            went_on = "the next run goes on, and builds only what was not done"
            marks = [pytest.mark.fault(f"{name} while {phase} is going on", went_on)]
            if name != "kill -9" and (phase, name) not in QUICK:
                marks.append(pytest.mark.slow)
            yield pytest.param(phase, name, id=f"{phase}-{name}", marks=marks)


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


@pytest.mark.parametrize(("phase", "name"), [*cases()])
def test_ended_in_the_middle(toy: Checkout, site: Site, phase: str, name: str) -> None:
    which, number = PHASES[phase], SIGNALS[name]
    before = make_long(toy, phase, site)
    status, said = hit(toy, which, number)
    if number == signal.SIGKILL:
        assert status == -number
    else:
        assert status == 128 + number, said
        assert said.count("interrupted: finished builds are kept") == 1 and "Traceback" not in said
    make_short(toy, phase, site)
    again = toy.doit(which.command)
    assert again.status == 0, again
    # An artifact that was written as its record was may as well have got it.
    assert sorted(again.built) in (sorted(which.rest), [] if phase == "registering" else None)
    if before:
        assert {file: digest(file) for file in products(toy)} == before
    else:
        artifact = toy.artifact("bottom")
        assert digest(artifact) == artifact.stem
    if phase == "fetching":
        assert site.ranges[-1] == f"bytes={HALF}-", "what had come was fetched again"
    assert not list((toy.root / "output").glob(".*")), "something unfinished stays for ever"
    assert toy.doit(which.command).said == f"{which.command} is up to date\n"


def make_long(toy: Checkout, phase: str, site: Site) -> dict[Path, str]:
    """Give the phase a middle that can be hit. Returns the products as they are when nothing is."""
    if phase == "fetching":
        with_sources(toy, PLAIN, site.url("very_slow"))
    elif phase == "unpacking the seed":
        toy.seed = with_many_files(toy.root.parent / "seed", toy.seed)
    elif phase == "compiling":
        toy.recipe("bottom", f"echo begun\n{marker(toy)}")
    elif phase == "the image":
        toy.recipe("kernel", f"{LARGE}\nmkdir /dest/boot; cp $share/large /dest/boot/kernel.efi")
    else:
        toy.recipe("bottom", LARGE)
        toy.edit("plan/sets.yaml", "exclude: [usr/include]", "exclude: [usr/share/large]")
    command = PHASES[phase].command
    if command.startswith("pkg"):
        return {}
    toy.builds(*ALL, words=[command])
    whole = {file: digest(file) for file in products(toy)}
    assert toy.doit("forget", command).status == 0
    return whole


def make_short(toy: Checkout, phase: str, site: Site) -> None:
    """Take away what made the phase last for ever."""
    if phase == "fetching":
        toy.edit("plan/recipes/bottom.yaml", site.url("very_slow"), site.url("good"))
    elif phase == "compiling":
        toy.recipe("bottom", SCRIPTS["bottom"])


def hit(toy: Checkout, phase: Phase, number: signal.Signals) -> tuple[int, str]:
    """Run the phase's command and end it in its middle; its status, and what it said."""
    for _ in range(TRIES):
        process = toy.start(doit(phase.command))
        while process.poll() is None:
            if not phase.reached(toy):
                continue
            # As Ctrl-Z and `kill %1` do it.
            process.send_signal(signal.SIGSTOP)
            if in_it := phase.reached(toy):
                process.send_signal(number)
            process.send_signal(signal.SIGCONT)
            if in_it:
                said, _ = process.communicate(timeout=AT_ONCE)
                return process.returncode, said
        said, _ = process.communicate()
        assert process.returncode == 0, said
        toy.doit("forget", phase.command)
        for record in (toy.cache / "steps").glob("*"):
            record.unlink()
    raise AssertionError("the phase was too short to be hit")


def with_many_files(directory: Path, seed: Path) -> Path:
    subprocess.run(["cp", "-a", seed, directory], check=True)
    (directory / "many").mkdir()
    for number in range(3000):
        (directory / "many" / str(number)).touch()
    return directory


def products(toy: Checkout) -> list[Path]:
    return sorted((toy.root / "output").glob("[!.]*"))


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
