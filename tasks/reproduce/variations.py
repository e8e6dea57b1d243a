"""The conditions that `doit verify` varies in a second build, if this machine can vary them.

    variations=a,b ──possible here?──▶ enough memory for the step? ──▶ Conditions, environment

Each variation differs from a usual run. Some always exist: a second build is later, and in another
work directory. The clock is not changed: no namespace has its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from plan.errors import BuildError
from plan.parameters import VARIATIONS
from rootfs.sandbox import host
from rootfs.sandbox.conditions import Conditions, refused
from tasks.engine.project import Project

ALWAYS = ("path", "time")
# These need a build of their own, because they exclude another variation.
INSTEAD = {"links": "order", "serial": "jobs"}

WORK = "another-work-directory-with-a-longer-path"
USER, HOST, UMASK = 4242, "another-machine", 0o077
LOCALE = {"LANG": "tr_TR.UTF-8", "LC_ALL": "tr_TR.UTF-8", "TZ": "XYZ-11:30"}
JOBS, OTHER_JOBS = 5, 2

# Unpacked size / packed size, with room for sources that compress well.
UNPACKED = 12


def chosen(project: Project) -> tuple[set[str], dict[str, str]]:
    """The variations of this run, and why some of the usual ones are missing.

    Raises BuildError if a requested one is not possible here.
    """
    asked = project.settings.variations
    for name, other in INSTEAD.items():
        if {name, other} <= set(asked):
            raise BuildError(
                f"{name} and {other} cannot be varied in the same build",
                where=f"variations={','.join(asked)}",
                hint=f"run twice, first without {name}: the results add up",
            )
    wanted = set(asked) or set(VARIATIONS) - set(INSTEAD)
    lacking = {name: why for name in wanted if (why := _lacks(project, name))}
    if asked and lacking:
        name, why = next(iter(lacking.items()))
        raise BuildError(f"{name} cannot be varied here: {why}", where=f"variations={name}")
    names = {*wanted, *ALWAYS} - set(lacking)
    # With another order, sources are unpacked again.
    return names | ({"cold"} if "order" in names else set()), lacking


def conditions(
    names: set[str], directories: Mapping[str, Mapping[str, str]], limit: int, above: Sequence[str]
) -> Conditions:
    """The conditions that a process sees. `directories`: those that order= puts into memory.

    `above`: the directory that contains all others.
    """
    return Conditions(
        user=USER if "user" in names else None,
        host=HOST if "host" in names else None,
        umask=UMASK if "umask" in names else None,
        memory=directories if "order" in names else {},
        limit=limit,
        above=above if "acl" in names else (),
        caller="caller" in names,
        one_processor="serial" in names,
    )


def environment(names: set[str], jobs: int) -> dict[str, str]:
    """The varied part of the environment. `jobs`: the number of the usual run."""
    other = OTHER_JOBS if jobs == JOBS else JOBS
    number = 1 if "serial" in names else other if "jobs" in names else jobs
    own = {"BQ2_JOBS": str(number)}
    if "links" in names:
        own["BQ2_OVERLAY"] = "no"
    return own | (LOCALE if "locale" in names else {})


def marks(names: set[str], workdir: Path, jobs: int) -> dict[str, Sequence[str]]:
    """The words that show a dependency on a variation in an output (rootfs/compare/cause.py)."""
    number = environment(names, jobs)["BQ2_JOBS"]
    return {
        "the path of the work directory": (WORK, str(workdir)),
        "the host's name": (HOST, *((name,) if (name := _host_name()) else ())),
        "the user id": (str(USER),),
        "the locale or the time zone": (*LOCALE.values(), "XYZ"),
        "the number of processes": (number,) if number != str(jobs) else (),
    }


def room(sources: Sequence[Path], artifacts: Sequence[Path]) -> int:
    """The bytes of memory for a step's unpacked inputs, or 0 if this machine has too few."""
    need = UNPACKED * sum(path.stat().st_size for path in sources)
    need += 2 * sum(path.stat().st_size for path in artifacts) + (64 << 20)
    return need if need < host.memory()[0] // 2 else 0


def _lacks(project: Project, name: str) -> str:
    """Why `name` cannot be varied on this machine; "" if it can."""
    if name == "links":
        return "" if project.overlay else "this machine has no overlayfs and always uses links"
    if name == "order" and host.file_system(project.workdir) == "tmpfs":
        return "the work directory is already in memory"
    trial = conditions({name}, {"": {}}, 0, [""])
    return "" if trial == Conditions() else refused(trial, project.workdir)


def _host_name() -> str:
    return Path("/proc/sys/kernel/hostname").read_text().strip()
