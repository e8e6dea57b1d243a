"""The conditions that `doit verify` varies in a second build, if this machine can vary them.

    variations=a,b ──possible here?──▶ enough memory for the step? ──▶ Conditions, environment

Each variation differs from a usual run. Some always exist: a second build is later, and in another
work directory. The clock is not changed: no namespace has its own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from plan.errors import BuildError
from plan.settings.parameters import VARIATIONS
from rootfs.sandbox import host
from rootfs.sandbox.conditions import Conditions, refused
from tasks.engine.project import Project
from tasks.reproduce import other_file_system
from tasks.reproduce.other_python import another

ALWAYS = ("path", "time")
# These need a build of their own, because they exclude another variation.
INSTEAD = {"links": ("order",), "serial": ("jobs",), "many": ("jobs", "serial")}

WORK = "another-work-directory-with-a-longer-path"
USER, HOST, UMASK = 4242, "another-machine", 0o077
LOCALE = {"LANG": "tr_TR.UTF-8", "LC_ALL": "tr_TR.UTF-8", "TZ": "XYZ-11:30"}
JOBS, OTHER_JOBS, MANY = 5, 2, 64
# What a developer's shell, a distribution's builder or a continuous integration sets.
CALLER, EPOCH = "another-caller", "86399"
VARIABLES = {
    "SOURCE_DATE_EPOCH": EPOCH,
    "KBUILD_BUILD_TIMESTAMP": "Thu Jan  1 23:59:59 UTC 1970",
    **dict.fromkeys(("KBUILD_BUILD_USER", "KBUILD_BUILD_HOST", "USER", "LOGNAME"), CALLER),
    **dict.fromkeys(("CC", "CXX", "LD", "AR", "SHELL", "ENV", "BASH_ENV"), f"/{CALLER}"),
    **dict.fromkeys(("HOME", "DESTDIR", "CONFIG_SITE", "PERL5LIB", "CPATH"), f"/{CALLER}"),
    **dict.fromkeys(("LIBRARY_PATH", "PKG_CONFIG_PATH", "CMAKE_PREFIX_PATH"), f"/{CALLER}"),
    **dict.fromkeys(("CFLAGS", "CXXFLAGS", "CPPFLAGS"), f"-O0 -g3 -DCALLER={CALLER}"),
    "LDFLAGS": f"-L/{CALLER}",
    "MAKEFLAGS": "--always-make --environment-overrides",
    "CMAKE_GENERATOR": "Unix Makefiles",
    "TAR_OPTIONS": "--mode=a+rwx",
    "XZ_OPT": "-0",
    "GZIP": "-1",
    "TMPDIR": "/var/tmp",
    "TERM": "dumb",
    "COLUMNS": "40",
    "POSIXLY_CORRECT": "1",
    "PYTHONHASHSEED": "1",
}

# Unpacked size / packed size, with room for sources that compress well.
UNPACKED = 12


def chosen(project: Project) -> tuple[set[str], dict[str, str]]:
    """The variations of this run, and why some of the usual ones are missing.

    Raises BuildError if a requested one is not possible here.
    """
    asked = project.settings.variations
    for name, others in INSTEAD.items():
        if name in asked and (other := next((each for each in others if each in asked), "")):
            raise BuildError(
                f"{name} and {other} cannot be varied in the same build",
                where=f"variations={','.join(asked)}",
                hint=f"run twice, first without {name}: the results add up",
            )
    wanted = set(asked) or set(VARIATIONS) - set(INSTEAD)
    lacking = {name: why for name in wanted if (why := _lacks(project, name))}
    if asked and lacking:
        name, why = next(iter(lacking.items()))
        where, hint = f"variations={name}", f"leave {name} out of variations="
        raise BuildError(f"{name} cannot be varied here: {why}", where=where, hint=hint)
    names = {*wanted, *ALWAYS} - set(lacking)
    # With another order, or on another file system, sources are unpacked again.
    return names | ({"cold"} if names & {"order", "filesystem"} else set()), lacking


def told(project: Project, names: set[str]) -> list[str]:
    """What is different, for those of `names` that do not say it, as lines."""
    python = another() if "python" in names else None
    lines = [f"python: {python.name}, {python.program}"] if python else []
    if "filesystem" in names:
        kind = other_file_system.other_kind(project.workdir)
        lines.insert(0, f"filesystem: {kind}, not {host.file_system(project.workdir)}")
    return lines


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
        personality="personality" in names,
    )


def environment(names: set[str], jobs: int) -> dict[str, str]:
    """The varied part of the environment. `jobs`: the number of the usual run."""
    numbers = {"serial": 1, "many": MANY, "jobs": OTHER_JOBS if jobs == JOBS else JOBS}
    own = {"BQ2_JOBS": str(next((numbers[name] for name in numbers if name in names), jobs))}
    if "links" in names:
        own["BQ2_OVERLAY"] = "no"
    if "variables" in names:
        own |= VARIABLES
    return own | (LOCALE if "locale" in names else {})


def marks(names: set[str], workdir: Path, jobs: int) -> dict[str, Sequence[str]]:
    """The words that show a dependency on a variation in an output (rootfs/compare/cause.py)."""
    number = environment(names, jobs)["BQ2_JOBS"]
    python = another() if "python" in names else None
    return {
        "the path of the work directory": (WORK, str(workdir)),
        "the host's name": (HOST, *((name,) if (name := _host_name()) else ())),
        "the user id": (str(USER),),
        "the locale or the time zone": (*LOCALE.values(), "XYZ"),
        "the number of processes": (number,) if number != str(jobs) else (),
        "the release of the kernel": (os.uname().release,) if "personality" in names else (),
        "the Python that packs": (python.name,) if python else (),
        "a variable of the caller": (EPOCH, CALLER) if "variables" in names else (),
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
    if name == "filesystem":
        return other_file_system.refused(project.workdir)
    if name == "python":
        return "" if another() else "no other Python, 3.11 or newer, on the PATH runs this project"
    trial = conditions({name}, {"": {}}, 0, [""])
    return "" if trial == Conditions() else refused(trial, project.workdir)


def _host_name() -> str:
    return Path("/proc/sys/kernel/hostname").read_text().strip()
