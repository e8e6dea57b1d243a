"""The checks of `doit doctor`: each looks at one thing of this machine and says what it found.

    Project ──check──▶ Finding(level, what was found, what helps)

FAIL: a build will stop. warn: it will be slower, or something beside it will not work. A check
may raise BuildError or OSError: that is a FAIL with their text.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cache import paths
from cache.sources import cached
from plan import needs
from plan.errors import BuildError
from plan.model import Source, Step
from plan.needs import GB
from plan.room import no_room
from plan.toolchain import SOURCE_DATE_EPOCH
from rootfs import host
from tasks.outlook import BUILD, of_state, survey
from tasks.project import ROOT, Project

OK, WARN, FAIL = "ok", "warn", "FAIL"
LIBRARIES = ("doit", "requests", "pyyaml", "tqdm")
SECONDS_FOR_ANSWERS = 1.0


@dataclass(frozen=True)
class Finding:
    """What one check found. `remedy`: what to do about it, "" where all is well."""

    level: str
    found: str
    remedy: str = ""


def sandbox(project: Project) -> Finding:
    """The whole set-up of a build's sandbox, live."""
    if project.overlay:
        return Finding(OK, "namespaces, mounts and pivot_root work; trees are composed by overlay")
    return Finding(
        WARN,
        "works, but without overlays: trees are composed of hard links, which takes longer",
        "a work directory on ext4, xfs or btrfs, and Linux 5.11 or newer: workdir=PATH",
    )


def disk(project: Project) -> Finding:
    """Free space, against what is still to be built."""
    cache, work = _space(project)
    told, short, enough = [], [], True
    for names, free, need, inodes in _file_systems(project, cache, work):
        told.append(f"{' and '.join(names)}: up to {_gb(need)} more, {_gb(free)} free")
        ways = " or ".join(_ELSEWHERE[name] for name in names)
        if free < _SPARE * need:
            short.append(f"free {_gb(_SPARE * need - free)} there, or name another disk: {ways}")
            enough = enough and free >= need
        if inodes is not None and inodes < (_FILES if _to_build(project) else 0) + _FEWEST:
            told.append(f"{inodes} inodes left (df -i)")
            short.append(f"remove many small files there, or name another disk: {ways}")
            enough = enough and inodes >= _FEWEST
    level = OK if not short else WARN if enough else FAIL
    return Finding(level, "; ".join(told), "\n".join(short))


# The figures are measured, but not for every version of everything.
_SPARE = 1.2
# The kernel's source alone has as many; and fewer than these end any build.
_FILES, _FEWEST = 100_000, 1000
_ELSEWHERE = {"cache": "BQ2_CACHE=PATH", "work directory": "workdir=PATH"}


def _file_systems(
    project: Project, cache: int, work: int
) -> Iterator[tuple[list[str], int, int, int | None]]:
    """What lies on each file system, its free bytes, the bytes that are needed of it, and its free
    inodes where their number is fixed."""
    parts: dict[int, list[tuple[str, Path, int]]] = {}
    for name, folder, size in (
        ("cache", paths.root(), cache),
        ("work directory", project.workdir, work),
    ):
        place = host.existing(folder)
        parts.setdefault(place.stat().st_dev, []).append((name, place, size))
    for together in parts.values():
        names, places, sizes = zip(*together, strict=True)
        status = os.statvfs(places[0])
        inodes = status.f_favail if status.f_files else None
        yield list(names), status.f_bavail * status.f_frsize, sum(sizes), inodes


@functools.lru_cache(maxsize=1)
def _to_build(project: Project) -> list[Step]:
    """The steps that a run would build: one look, for all the checks of this process."""
    try:
        return [each.step for each in of_state(survey(project).values(), BUILD)]
    except BuildError:
        return project.plan.steps  # there is a check for the seed


def _space(project: Project) -> tuple[int, int]:
    """Bytes that the rest of the build takes in the cache, and in the work directory."""
    plan = project.plan
    steps = _to_build(project)
    lacking = [source for source in plan.sources if cached(source) is None]
    cache = sum(source.size for source in lacking) + needs.in_cache(steps)
    try:
        seed = project.seed
        if seed.sources and not seed.tree.exists():
            lacking = [source for source in seed.sources if cached(source) is None]
            cache += sum(source.size for source in lacking) + needs.SEED_TREE
    except BuildError:
        pass  # there is a check for the seed
    product = needs.PRODUCT_WITH_ROOT if plan.set.root else needs.PRODUCT_WITHOUT
    return cache, needs.in_work(steps) + product


def memory(project: Project) -> Finding:
    """Free memory, against the largest process and the number of processes."""
    jobs = project.settings.jobs
    free, swap = host.memory()
    found = f"{_gb(free)} free and {_gb(swap)} of swap"
    largest = needs.memory(_to_build(project))
    if not largest:
        return Finding(OK, f"{found}; nothing is to be compiled")
    found += f"; the largest process to come takes {_gb(largest)}, "
    found += f"{jobs} jobs up to {_gb(jobs * needs.MEMORY_OF_A_JOB)}"
    if free + swap < largest:
        lack = largest - free - swap
        return Finding(FAIL, found, f"end other programs, or add {_gb(lack)} of memory or swap")
    if free + swap < jobs * needs.MEMORY_OF_A_JOB:
        fewer = max(1, (free + swap) // needs.MEMORY_OF_A_JOB)
        return Finding(WARN, found, f"jobs={fewer}, or more memory or swap")
    if free < largest:
        return Finding(WARN, found, "more memory: it will be built, but slowly, in swap")
    return Finding(OK, found)


def cores(project: Project) -> Finding:
    """Processors, against jobs=."""
    usable, jobs = host.processors(), project.settings.jobs
    found = f"{usable} to be used, jobs={jobs}"
    if jobs > usable:
        return Finding(WARN, found, f"jobs={usable}: more only take memory")
    return Finding(OK, found)


def cache_folder(project: Project) -> Finding:
    """The cache: writable, local, with programs and links."""
    del project
    return _folder(paths.root(), "BQ2_CACHE=PATH")


def work_folder(project: Project) -> Finding:
    """The work directory, likewise."""
    return _folder(project.workdir, "workdir=PATH")


def _folder(folder: Path, elsewhere: str) -> Finding:
    place = host.existing(folder)
    kind = host.file_system(place.resolve())
    remedy = f"name a folder elsewhere: {elsewhere}"
    try:
        lack = host.unfit(place)
    except OSError as error:
        lack = f"cannot be written to: {error.strerror}"
        remedy = no_room(error, place) or remedy
    if lack:
        return Finding(FAIL, f"{place} ({kind}) {lack}", remedy)
    if kind in host.NETWORK:
        return Finding(WARN, f"{folder}, on {kind}: slow", f"a local disk is better: {elsewhere}")
    return Finding(OK, f"{folder}, on {kind}, can be written to and holds programs and links")


def seed(project: Project) -> Finding:
    """The data of the seed, and whether it is unpacked."""
    chosen = project.seed
    if chosen.sources and chosen.tree.exists():
        return Finding(OK, f"{chosen.name} {chosen.identity[:12]} is ready")
    return Finding(OK, f"{chosen.name}, to be made by the first build")


def sources(project: Project) -> Finding:
    """Whether what lacks can be fetched: the archives answer, or nothing lacks."""
    from cache import outward
    from cache.places import SNAPSHOT, known_archives, without_password
    from cache.reach import unreachable

    settings = project.settings
    wanted = [*project.plan.sources, *_seed_sources(project)]
    missing = [source for source in wanted if cached(source) is None]
    have = f"{len(wanted) - len(missing)} of {len(wanted)} sources are in the cache"
    if settings.offline:
        if missing:
            return Finding(FAIL, f"{have}, and offline=1", "once, on a network: doit fetch")
        return Finding(OK, f"{have}; no server is asked (offline=1)")
    archives = [f"{archive.url}/" for archive in known_archives(settings.mirror or "")]
    try:
        outward.check(f"{SNAPSHOT}/")  # whatever the archives are, most sources are of https
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


# What helps where no archive answers.
_REACH = (
    "name an archive that can be reached, mirror=URL, or put it into apt's sources; behind a "
    "proxy set https_proxy"
)


def _seed_sources(project: Project) -> Iterator[Source]:
    try:
        yield from project.seed.sources
    except BuildError:
        return  # there is a check for the seed


def clock(project: Project) -> Finding:
    """The clock: certificates, and whoever compares times, need one that is about right."""
    del project
    now, told = time.time(), time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    remedy = "set it: date -s, or start a time service (NTP)"
    if now < SOURCE_DATE_EPOCH:
        return Finding(FAIL, f"{told} is before the time of all that is built", remedy)
    folders = [ROOT / name for name in ("cache", "plan", "rootfs", "tasks")]
    files = (path for folder in folders for path in folder.rglob("*") if path.suffix != ".pyc")
    newest = max(files, key=lambda path: path.lstat().st_mtime)
    if newest.lstat().st_mtime > now + 60:
        return Finding(WARN, f"{told} is before the time of {newest.relative_to(ROOT)}", remedy)
    return Finding(OK, told)


def python(project: Project) -> Finding:
    """Python and the libraries, against the versions that the project is tested with."""
    from importlib.metadata import PackageNotFoundError, version

    del project
    try:
        pinned = (ROOT / "requirements.txt").read_text()
        found = {name: version(name) for name in LIBRARIES}
    except (OSError, PackageNotFoundError):
        return Finding(OK, sys.version.split()[0])
    others = [f"{name} {text}" for name, text in found.items() if f"{name}=={text} " not in pinned]
    told = f"{sys.version.split()[0]}; " + ", ".join(f"{n} {text}" for n, text in found.items())
    if others:
        return Finding(WARN, f"{told}: not tested with {', '.join(others)}", "./bq2 has the pinned")
    return Finding(OK, told)


def emulator(project: Project) -> Finding:
    """QEMU and its firmware, and what will run the guest's instructions."""
    from rootfs.firmware import find_firmware, find_qemu
    from rootfs.qemu import KVM, Machine, kvm_verdict, version

    arch = project.settings.arch
    try:
        qemu = find_qemu(arch)
        firmware = find_firmware(arch, qemu)
    except BuildError as error:
        return Finding(
            WARN, f"{error.message}: the image can be built, not booted", error.hint or ""
        )
    told = f"{qemu.name} {version(qemu)}, {firmware.code.path}"
    verdict = kvm_verdict(Machine(arch, cache=paths.root()), qemu)
    if verdict is not None and not verdict:
        reason, remedy = _without_kvm(arch, KVM)
        return Finding(WARN, f"{told}; without KVM ({reason}): a boot takes seconds more", remedy)
    return Finding(OK, told + ("; KVM works" if verdict else "; KVM is tried by the first boot"))


def _without_kvm(arch: str, device: Path) -> tuple[str, str]:
    if arch != os.uname().machine:
        return f"this machine is {os.uname().machine}", "nothing helps, and nothing has to"
    if not device.exists():
        return f"no {device}", "switch virtualisation on in the firmware, or for a guest, outside"
    if not os.access(device, os.R_OK | os.W_OK):
        return f"{device} is not yours", "as root: usermod -a -G kvm USER, and log in again"
    return "it cannot run the firmware", "nothing has to be done: QEMU emulates; or boot elsewhere"


def _gb(size: float) -> str:
    return f"{size / GB:.1f} GB"
