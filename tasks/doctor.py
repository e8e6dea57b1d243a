"""doctor: what this machine lacks for a build, before hours are spent to find out.

CHECKS ──a thread each──▶ Finding ──▶ one line each, and under it what helps
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from plan.errors import BuildError
from tasks import health
from tasks.console import say, speaking
from tasks.health import FAIL, WARN, Finding
from tasks.project import Project, project

CHECKS: Mapping[str, Callable[[Project], Finding]] = {
    "sandbox": health.sandbox,
    "disk": health.disk,
    "memory": health.memory,
    "cores": health.cores,
    "cache": health.cache_folder,
    "work": health.work_folder,
    "seed": health.seed,
    "sources": health.sources,
    "clock": health.clock,
    "python": health.python,
    "boot": health.emulator,
}
# What makes a long build fail late, found out in no time.
QUICK = ("sandbox", "disk", "memory")
SECONDS = 1.6


def task_doctor() -> dict[str, Any]:
    """check this machine: sandbox, disk, memory, network, QEMU; says what helps"""
    return {"actions": [(speaking(_doctor),)]}


def quick(project: Project) -> list[Finding]:
    """The problems that would end or slow a long build, found in a tenth of a second.

    Nothing is printed and nothing raised. Those with the level FAIL come first.
    """
    found = [_examined(CHECKS[name], project) for name in QUICK]
    return [each for level in (FAIL, WARN) for each in found if each.level == level]


def _doctor() -> None:
    found = _all_found()
    for name, finding in found.items():
        say(f"{finding.level:<5} {name:<8} {finding.found}")
        for line in finding.remedy.splitlines():
            say(f"{'':<14} {line.strip()}")
    if any(finding.level == FAIL for finding in found.values()):
        project.exit_status = 1


def _all_found() -> dict[str, Finding]:
    """What the checks found, in their order; they run at once, because most of them wait."""
    late = Finding(WARN, f"no answer within {SECONDS} s", "a busy machine or disk? try again")
    found = dict.fromkeys(CHECKS, late)

    def run(name: str) -> None:
        found[name] = _examined(CHECKS[name], project)

    end = time.monotonic() + SECONDS
    threads = [threading.Thread(target=run, args=(name,), daemon=True) for name in CHECKS]
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
