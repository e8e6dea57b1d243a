"""The checks of `doit doctor`: each checks one thing on this machine.

    Project ──check──▶ Finding(level, what was found, what helps)

FAIL: a build will stop. warn: a build is slower, or another command does not work. If a check
raises BuildError or OSError, that is a FAIL with its text.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cache.sources import cached
from plan.compiling.toolchain import SOURCE_DATE_EPOCH
from plan.errors import BuildError
from plan.model import Source, Step
from plan.room import GB, no_room
from plan.steps.needs import MB
from plan.typed import typed
from rootfs.sandbox import host
from tasks.engine.project import Project
from tasks.engine.survey import BUILD, of_state, survey

OK, WARN, FAIL = "ok", "warn", "FAIL"
LIBRARIES = ("doit", "requests", "pyyaml", "tqdm")
SECONDS_FOR_ANSWERS = 1.0


@dataclass(frozen=True)
class Finding:
    """The result of one check. `remedy`: what to do, or "" if all is well; `details`: a table."""

    level: str
    found: str
    remedy: str = ""
    details: Sequence[Sequence[str]] = ()


def sandbox(project: Project) -> Finding:
    """Set up a real sandbox, as a build does."""
    if project.overlay:
        return Finding(OK, "namespaces, mounts and pivot_root work; trees are composed by overlay")
    return Finding(
        WARN,
        "works, but without overlays: trees are composed of hard links, which is slower",
        "use a work directory on ext4, xfs or btrfs, and Linux 5.11 or newer: workdir=PATH",
    )


def disk(project: Project) -> Finding:
    """Free space, compared with the rest of the build."""
    cache, work = _space(project)
    told, short, enough = [], [], True
    for names, free, need, inodes in _file_systems(project, cache, work):
        told.append(f"{' and '.join(names)}: up to {_gb(need)} more, {_gb(free)} free")
        ways = " or ".join(_ELSEWHERE[name] for name in names)
        if free < _SPARE * need:
            short.append(f"free {_gb(_SPARE * need - free)} there, or name another disk: {ways}")
            enough = enough and free >= need
        files = project.needs.whole["files"] if _to_build(project) else 0
        if inodes is not None and inodes < files + _FEWEST:
            told.append(f"{inodes} inodes left (df -i)")
            short.append(f"remove many small files there, or name another disk: {ways}")
            enough = enough and inodes >= _FEWEST
    level = OK if not short else WARN if enough else FAIL
    return Finding(level, "; ".join(told), "\n".join(short))


# Other versions may need more than the measured sizes.
_SPARE = 1.2
_FEWEST = 1000  # inodes for any build
_ELSEWHERE = {"cache": "BQ2_CACHE=PATH", "work directory": "workdir=PATH"}


def _file_systems(
    project: Project, cache: int, work: int
) -> Iterator[tuple[list[str], int, int, int | None]]:
    """For each file system: the directories on it, its free bytes, the needed bytes, and its free
    inodes if their number is fixed."""
    parts: dict[int, list[tuple[str, Path, int]]] = {}
    for name, directory, size in (
        ("cache", project.cache, cache),
        ("work directory", project.workdir, work),
    ):
        place = host.existing(directory)
        parts.setdefault(place.stat().st_dev, []).append((name, place, size))
    for together in parts.values():
        names, places, sizes = zip(*together, strict=True)
        status = os.statvfs(places[0])
        inodes = status.f_favail if status.f_files else None
        yield list(names), status.f_bavail * status.f_frsize, sum(sizes), inodes


@functools.lru_cache(maxsize=1)
def _to_build(project: Project) -> list[Step]:
    """The steps that a run would build; computed once for all checks of this process."""
    try:
        return [each.step for each in of_state(survey(project).values(), BUILD)]
    except BuildError:
        return project.plan.steps  # another check reports the seed


def _space(project: Project) -> tuple[int, int]:
    """The bytes that the rest of the build needs in the cache, and in the work directory."""
    plan, needs = project.plan, project.needs
    steps = _to_build(project)
    lacking = [source for source in plan.sources if cached(source, project.cache) is None]
    cache = sum(source.size for source in lacking) + needs.in_cache(steps)
    try:
        seed = project.seed
        if seed.sources and not seed.tree.exists():
            lacking = [each for each in seed.sources if cached(each, project.cache) is None]
            cache += sum(source.size for source in lacking) + MB * needs.whole["seed"]
    except BuildError:
        pass  # another check reports the seed
    product = MB * needs.image["disk"]
    return cache, needs.in_work(steps) + product


def memory(project: Project) -> Finding:
    """Free memory, compared with the largest process and the number of processes."""
    jobs = project.settings.jobs
    of_jobs = jobs * MB * project.needs.whole["job"]
    free, swap = host.memory()
    found = f"{_gb(free)} free and {_gb(swap)} of swap"
    largest = project.needs.memory(_to_build(project))
    if not largest:
        return Finding(OK, f"{found}; nothing to compile")
    found += f"; the largest process needs {_gb(largest)}, "
    found += f"{jobs} jobs up to {_gb(of_jobs)}"
    if free + swap < largest:
        lack = largest - free - swap
        return Finding(FAIL, found, f"close other programs, or add {_gb(lack)} of memory or swap")
    if free + swap < of_jobs:
        fewer = max(1, jobs * (free + swap) // of_jobs)
        return Finding(WARN, found, f"jobs={fewer}, or more memory or swap")
    if free < largest:
        return Finding(WARN, found, "add memory: the build works, but it swaps and is slow")
    return Finding(OK, found)


def cores(project: Project) -> Finding:
    """Processors, compared with jobs=."""
    usable, jobs = host.processors(), project.settings.jobs
    found = f"{usable} available, jobs={jobs}"
    if jobs > usable:
        return Finding(WARN, found, f"jobs={usable}: more only need more memory")
    return Finding(OK, found)


def cache_directory(project: Project) -> Finding:
    """The cache: writable, on a local disk, with support for programs and links."""
    return _directory(project.cache, "BQ2_CACHE=PATH")


def work_directory(project: Project) -> Finding:
    """The work directory: the same."""
    return _directory(project.workdir, "workdir=PATH")


def _directory(directory: Path, elsewhere: str) -> Finding:
    place = host.existing(directory)
    # In a chroot, the mount that the directory is on may not be visible.
    kind = host.file_system(place.resolve())
    remedy = f"name another directory: {elsewhere}"
    try:
        lack = host.unfit(place)
    except OSError as error:
        lack = f"cannot be written: {error.strerror}"
        remedy = no_room(error, place) or remedy
    if lack:
        return Finding(FAIL, f"{place}{f' ({kind})' if kind else ''} {lack}", remedy)
    if kind in host.NETWORK:
        return Finding(WARN, f"{directory}, on {kind}: slow", f"use a local disk: {elsewhere}")
    on = f", on {kind}," if kind else ""
    return Finding(OK, f"{directory}{on} is writable and supports programs and links")


def seed(project: Project) -> Finding:
    """The seed's files, and whether it is unpacked; the tools of a root that the user gives."""
    if project.given:
        from tasks.engine.doctor.root_report import report

        return report(project, project.given)
    chosen = project.seed
    if chosen.sources and chosen.tree.exists():
        return Finding(OK, f"{chosen.name} {chosen.identity[:12]} is ready")
    return Finding(OK, f"{chosen.name}; the first build makes it")


def pins(project: Project) -> Finding:
    """Whether Debian's index still lists the packages of the seed."""
    settings = project.settings
    try:
        seed = project.seed
    except BuildError:
        seed = None  # another check reports the seed
    if not seed or not seed.packages:
        return Finding(OK, "the seed has no packages of Debian")
    count = f"{len(seed.debs)} packages of the seed"
    if settings.offline:
        return Finding(OK, f"{count}; no index is asked (offline=1)")
    departed = seed.departed(settings.mirror or "")
    if not departed:
        return Finding(OK, f"Debian's index lists all {count}")
    told = f"{len(departed)} of {count} have left Debian's index"
    return Finding(
        WARN, told, f"snapshot.debian.org keeps them; {typed('lock')} pins the current ones"
    )


def sources(project: Project) -> Finding:
    """Whether missing sources can be fetched: the archives answer, or nothing is missing."""
    from cache import outward
    from cache.places import SNAPSHOT, known_archives, without_password
    from cache.reach import unreachable

    settings = project.settings
    wanted = [*project.plan.sources, *_seed_sources(project)]
    missing = [source for source in wanted if cached(source, project.cache) is None]
    have = f"{len(wanted) - len(missing)} of {len(wanted)} sources are in the cache"
    if settings.offline:
        if missing:
            return Finding(
                FAIL, f"{have}, and offline=1", f"once, with a network: {typed('fetch')}"
            )
        return Finding(OK, f"{have}; no server is asked (offline=1)")
    archives = [f"{archive.url}/" for archive in known_archives(settings.mirror or "")]
    try:
        outward.check(f"{SNAPSHOT}/")  # most sources are on https, for every archive
        silent = unreachable(archives, seconds=SECONDS_FOR_ANSWERS)
    except BuildError as error:
        told = f"{have}; {error.where}: {error.message}"
        return Finding(FAIL if missing else WARN, told, error.hint or "")
    found = f"{have}; {len(archives) - len(silent)} of {len(archives)} Debian archives answer"
    for url, failed in silent.items():
        found += f"; {without_password(url)}: {failed.reason}"
    remedies = dict.fromkeys(failed.remedy or _REACH for failed in silent.values())
    if len(silent) < len(archives):
        return Finding(WARN if silent else OK, found, "\n".join(remedies))
    return Finding(FAIL if missing else WARN, found, "\n".join(remedies) or _REACH)


# The remedy if no archive answers.
_REACH = (
    "name a reachable archive with mirror=URL, or add it to apt's sources; behind a "
    "proxy, set https_proxy"
)


def _seed_sources(project: Project) -> Iterator[Source]:
    try:
        yield from project.seed.sources
    except BuildError:
        return  # another check reports the seed


def clock(project: Project) -> Finding:
    """The clock: certificates and file times need one that is about right."""
    now, told = time.time(), time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    remedy = "set it: date -s, or start a time service (NTP)"
    if now < SOURCE_DATE_EPOCH:
        return Finding(FAIL, f"{told} is earlier than the time stamps of all outputs", remedy)
    directories = [project.root / name for name in ("cache", "plan", "rootfs", "tasks")]
    files = (
        path for directory in directories for path in directory.rglob("*") if path.suffix != ".pyc"
    )
    newest = max(files, key=lambda path: path.lstat().st_mtime)
    if newest.lstat().st_mtime > now + 60:
        name = newest.relative_to(project.root)
        return Finding(WARN, f"{told} is earlier than the time of {name}", remedy)
    return Finding(OK, told)


def python(project: Project) -> Finding:
    """Python and the libraries, compared with the tested versions."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        pinned = (project.root / "requirements.txt").read_text()
        found = {name: version(name) for name in LIBRARIES}
    except (OSError, PackageNotFoundError):
        return Finding(OK, sys.version.split()[0])
    others = [f"{name} {text}" for name, text in found.items() if f"{name}=={text} " not in pinned]
    told = f"{sys.version.split()[0]}; " + ", ".join(f"{n} {text}" for n, text in found.items())
    if others:
        return Finding(WARN, f"{told}: not tested with {', '.join(others)}", "./bq2 has the pinned")
    return Finding(OK, told)


def emulator(project: Project) -> Finding:
    """QEMU and its firmware, and whether KVM works."""
    from rootfs.vm.firmware import find_firmware, find_qemu
    from rootfs.vm.qemu import KVM, Machine, kvm_verdict, version

    arch = project.settings.arch
    try:
        qemu = find_qemu(arch)
        firmware = find_firmware(arch, qemu)
    except BuildError as error:
        return Finding(
            WARN, f"{error.message}: the image can be built, but not booted", error.hint or ""
        )
    told = f"{qemu.name} {version(qemu)}, {firmware.code.path}"
    verdict = kvm_verdict(Machine(arch, cache=project.cache), qemu)
    if verdict is not None and not verdict:
        reason, remedy = _without_kvm(arch, KVM)
        return Finding(WARN, f"{told}; without KVM ({reason}): a boot takes seconds more", remedy)
    return Finding(OK, told + ("; KVM works" if verdict else "; the first boot tries KVM"))


def _without_kvm(arch: str, device: Path) -> tuple[str, str]:
    if arch != os.uname().machine:
        return f"this machine is {os.uname().machine}", "no remedy, and none is needed"
    if not device.exists():
        return f"no {device}", "enable virtualisation in the firmware, or for a guest, on its host"
    if not os.access(device, os.R_OK | os.W_OK):
        return f"{device} is not accessible", "as root: usermod -a -G kvm USER, and log in again"
    return "it cannot run the firmware", "no remedy is needed: QEMU emulates; or boot elsewhere"


def _gb(size: float) -> str:
    return f"{size / GB:.1f} GB"
