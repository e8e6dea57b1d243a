"""What `doit verify` makes different for a second build, and what this machine lets it make so.

    variations=a,b ──can be had here?──▶ of one step: is there room? ──▶ Conditions, environment

Each variation differs from what a usual run finds. Some are there always: a second build is a
later one, in another work directory. The clock itself is not set: no namespace has one of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from plan.errors import BuildError
from plan.parameters import VARIATIONS
from rootfs import host
from rootfs.conditions import Conditions, refused
from tasks.project import Project

ALWAYS = ("path", "time")
# They cost a build of their own, for they take the place of another.
INSTEAD = {"links": "order", "serial": "jobs"}

WORK = "another-work-directory-with-a-longer-path"
USER, HOST, UMASK = 4242, "another-machine", 0o077
LOCALE = {"LANG": "tr_TR.UTF-8", "LC_ALL": "tr_TR.UTF-8", "TZ": "XYZ-11:30"}
JOBS, OTHER_JOBS = 5, 2

# Of the unpacked to the packed source, with room for what compresses well.
UNPACKED = 12


def chosen(project: Project) -> tuple[set[str], dict[str, str]]:
    """The variations of this run, and why some of the usual ones are not among them.

    Raises BuildError if one that was asked for cannot be had here.
    """
    asked = project.settings.variations
    for name, other in INSTEAD.items():
        if {name, other} <= set(asked):
            raise BuildError(
                f"{name} and {other} cannot be varied in the same build",
                where=f"variations={','.join(asked)}",
                hint=f"run twice: the results add up; first without {name}",
            )
    wanted = set(asked) or set(VARIATIONS) - set(INSTEAD)
    lacking = {name: why for name in wanted if (why := _lacks(project, name))}
    if asked and lacking:
        name, why = next(iter(lacking.items()))
        raise BuildError(f"{name} cannot be varied here: {why}", where=f"variations={name}")
    names = {*wanted, *ALWAYS} - set(lacking)
    # What is put in another order is unpacked anew.
    return names | ({"cold"} if "order" in names else set()), lacking


def conditions(
    names: set[str], folders: Mapping[str, Mapping[str, str]], limit: int, above: Sequence[str]
) -> Conditions:
    """What a process finds different. `folders`: those that order= puts into memory.

    `above`: those that all others are made in.
    """
    return Conditions(
        user=USER if "user" in names else None,
        host=HOST if "host" in names else None,
        umask=UMASK if "umask" in names else None,
        memory=folders if "order" in names else {},
        limit=limit,
        above=above if "acl" in names else (),
        caller="caller" in names,
        one_processor="serial" in names,
    )


def environment(names: set[str], jobs: int) -> dict[str, str]:
    """What of the environment is different. `jobs`: how many the usual run has."""
    other = OTHER_JOBS if jobs == JOBS else JOBS
    number = 1 if "serial" in names else other if "jobs" in names else jobs
    own = {"BQ2_JOBS": str(number)}
    if "links" in names:
        own["BQ2_OVERLAY"] = "no"
    return own | (LOCALE if "locale" in names else {})


def marks(names: set[str], workdir: Path, jobs: int) -> dict[str, Sequence[str]]:
    """The words by which an output shows that it depends on a variation (rootfs/cause.py)."""
    number = environment(names, jobs)["BQ2_JOBS"]
    return {
        "the path of the work directory": (WORK, str(workdir)),
        "the host's name": (HOST, *((name,) if (name := _host_name()) else ())),
        "who builds": (str(USER),),
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
        return "" if project.overlay else "there is no overlay here, links are what is used"
    if name == "order" and host.file_system(project.workdir) == "tmpfs":
        return "the work directory is in memory already"
    trial = conditions({name}, {"": {}}, 0, [""])
    return "" if trial == Conditions() else refused(trial, project.workdir)


def _host_name() -> str:
    return Path("/proc/sys/kernel/hostname").read_text().strip()
