"""doctor: checks this machine before a build, which may otherwise fail after hours.

CHECKS ──one thread each──▶ Finding ──▶ one line each, with the remedy below
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from plan.errors import BuildError
from tasks.actions import DoitTask, speaking
from tasks.console.console import say
from tasks.console.table import table
from tasks.engine.doctor import health
from tasks.engine.doctor.health import FAIL, WARN, Finding
from tasks.engine.doctor.workers_check import remote
from tasks.engine.project import Project

CHECKS: Mapping[str, Callable[[Project], Finding]] = {
    "sandbox": health.sandbox,
    "disk": health.disk,
    "memory": health.memory,
    "cores": health.cores,
    "cache": health.cache_directory,
    "work": health.work_directory,
    "seed": health.seed,
    "sources": health.sources,
    "clock": health.clock,
    "python": health.python,
    "boot": health.emulator,
    "pins": health.pins,
    "remote": remote,
}
# Fast checks of the usual reasons why a long build fails late.
QUICK = ("sandbox", "disk", "memory")
# Seconds that the fast checks may take. They need one at most; a busy machine needs some more.
SECONDS = 20
TONES = {FAIL: "bad", WARN: "warn"}
INDENT = 16  # columns of the level and the name of a check
# These run after the others, so that they do not slow them. "pins" reads an index of 10 MB; "seed"
# tries the root of seed=PATH, which it may have to unpack; "remote" waits for a worker. Seconds
# that they may take:
SLOW = {"pins": 15, "seed": 900, "remote": 120}


def task_doctor(project: Project) -> DoitTask:
    """check this machine: sandbox, disk, memory, network, QEMU

    doctor                    this machine, as builder
    doctor arch=aarch64       also what boots an aarch64 image
    doctor seed=PATH          also each tool of that root
    doctor remote=URL         also what a worker of that server has
    """
    return {"actions": [(speaking(_doctor), [project])]}


def quick(project: Project) -> list[Finding]:
    """The problems that would stop or slow a long build; takes a tenth of a second.

    It prints nothing and raises nothing. Findings with the level FAIL come first.
    """
    found = [_examined(CHECKS[name], project) for name in QUICK]
    return [each for level in (FAIL, WARN) for each in found if each.level == level]


def _doctor(project: Project) -> None:
    slow = {name: most for name, most in SLOW.items() if name != "seed" or project.given}
    asked = [name for name in CHECKS if name != "remote" or project.settings.remote]
    found = _all_found(project, [name for name in asked if name not in slow], SECONDS)
    for name in asked:
        if name in slow:
            found |= _all_found(project, [name], slow[name])
    for name in asked:
        finding = found[name]
        remedy = [("", "", line.strip()) for line in finding.remedy.splitlines()]
        rows = [(f"{finding.level:<4}", f"{name:<8}", finding.found), *remedy]
        say("\n".join(table(rows)), TONES.get(finding.level, ""))
        for line in table(finding.details, indent=" " * INDENT):
            say(line)
    if any(finding.level == FAIL for finding in found.values()):
        project.exit_status = 1


def _all_found(project: Project, names: Sequence[str], seconds: float) -> dict[str, Finding]:
    """The findings of the checks `names`, which run in parallel because most wait."""
    late = Finding(WARN, f"no answer within {seconds} s", "the machine or disk is busy? try again")
    found = dict.fromkeys(names, late)

    def run(name: str) -> None:
        found[name] = _examined(CHECKS[name], project)

    end = time.monotonic() + seconds
    threads = [threading.Thread(target=run, args=(name,), daemon=True) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return dict(found)


def _examined(check: Callable[[Project], Finding], project: Project) -> Finding:
    try:
        return check(project)
    except BuildError as error:
        where = f"{error.where}: " if error.where else ""
        return Finding(FAIL, f"{where}{error.message}", error.hint or "")
    except OSError as error:
        return Finding(FAIL, f"{error.filename}: {error.strerror}")
