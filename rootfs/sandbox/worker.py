"""Runs one step on a worker of a Remote Execution cluster, as a process of its own.

    job.json, blobs/<sha256>, recipe/… ──▶ trees ──▶ the sandbox of every step ──┬▶ out/artifact.tar
                                                                                ├▶ out/log
                                                                                └▶ out/report.json

It needs Python and the standard library only. It works, and keeps its unpacked trees for later
steps, in a directory of this user alone; where it has none, in the input root. Without a step in
the job it only reports what this worker has (`doit doctor remote=…`).
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from plan.errors import BuildError
from plan.model import Addition, Command, Source, Step
from rootfs.archives.files import file_sha256, fresh_directory, remove_tree
from rootfs.archives.intact import untouched
from rootfs.archives.pack import stamp_times
from rootfs.archives.source import unpack_source
from rootfs.archives.unpack import unpack
from rootfs.sandbox.enter import overlay_works
from rootfs.sandbox.host import memory, processors
from rootfs.sandbox.jobserver import JobServer
from rootfs.sandbox.step import Inputs, StepFailed, pack_result, prepare, run_commands

JOB, BLOBS, RECIPE = "job.json", "blobs", "recipe"
OUT, LOG, ARTIFACT, REPORT = "out", "out/log", "out/artifact.tar", "out/report.json"
START = (
    "import os, sys; sys.path.insert(0, os.getcwd()); "
    "sys.version_info >= (3, 11) or sys.exit('Python 3.11 or newer is needed'); "
    "from rootfs.sandbox.worker import main; sys.exit(main())"
)
_KEPT = Path("/var/tmp")
LOCK = ".lock"
"""In the directory of the trees: locked as long as a step uses some of them."""
_UNUSED = 7 * 86400  # seconds until what no step used is removed

Report = dict[str, Any]


def main() -> int:
    """Do the job in the current directory, write its report there, and return the exit status."""
    here = Path.cwd()
    fresh_directory(here / OUT)
    job = json.loads((here / JOB).read_text())
    keep = kept_directory() or here / "kept"
    keep.mkdir(exist_ok=True)
    _remove_unused(keep)
    # Not named by a process: other steps of this worker may be in other PID namespaces.
    work = fresh_directory(Path(tempfile.mkdtemp(prefix="work-", dir=keep)))
    try:
        with _using(keep):
            report = _step(job, here, keep, work) if job["step"] else _about(keep, work)
    except BuildError as error:
        report = {"message": error.message, "where": error.where, "hint": error.hint}
    except OSError as error:
        report = {"message": str(error), "where": error.filename, "hint": None}
    finally:
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(work / "build" / "log", here / LOG)
        remove_tree(work)
    (here / REPORT).write_text(json.dumps(report))
    return 0 if {"artifact", "python"} & report.keys() else 1


def kept_directory() -> Path | None:
    """The directory of this user for trees, or None: in it nobody else can have put a tree."""
    directory = _KEPT / f"bq2-worker-{os.geteuid()}"
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        status = directory.lstat()
    except OSError:
        return None
    private = stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o077
    return directory if private and status.st_uid == os.geteuid() else None


def _step(job: Mapping[str, Any], here: Path, keep: Path, work: Path) -> Report:
    step = step_of(job["step"])
    places = {name: _blob(here, sha256) for name, sha256 in job["files"].items()}
    source = work / "source" if step.sources else None
    if source:
        unpack_source(_blob(here, step.sources[0].sha256), step.sources[0], source)
    for number, each in enumerate(step.sources[1:]):
        if each.into:
            unpack_source(places[each.file], each, work / "input" / str(number))
            places[each.file] = work / "input" / str(number)
    inputs = Inputs(
        build_root=[_tree(here, keep, sha256, work) for sha256 in job["build_root"]],
        sysroot=[_tree(here, keep, sha256, work) for sha256 in job["sysroot"]],
        source=source,
        recipe={path: here / RECIPE / path for path, _ in step.files},
        files=places,
    )
    jobs = JobServer(work / "jobserver", processors())
    place = prepare(step, inputs, work / "build", overlay=overlay_works(work), jobs=jobs)
    try:
        with jobs.slot():
            results = run_commands(step, place, seconds=job["seconds"])
    except StepFailed as error:
        return {"failed": step.commands.index(error.command), "result": asdict(error.result)}
    packed = pack_result(step, place, here / OUT)
    packed.file.replace(here / ARTIFACT)
    told = [asdict(result) for result in results]
    return {"artifact": packed.sha256, "size": packed.size, "results": told}


def step_of(facts: Mapping[str, Any]) -> Step:
    """The step with these facts, as `dataclasses.asdict` and JSON give them."""
    pairs = {name: tuple(map(tuple, facts[name])) for name in ("files", "environment")}
    names = {name: tuple(facts[name]) for name in ("depends", "tools", "remove")}
    sources = (
        Source(**each | {"urls": tuple(each["urls"]), "exclude": tuple(each["exclude"])})
        for each in facts["sources"]
    )
    commands = (Command(tuple(each["argv"]), each["cwd"]) for each in facts["commands"])
    additions = (Addition(**each) for each in facts["additions"])
    made = {
        "sources": tuple(sources),
        "commands": tuple(commands),
        "additions": tuple(additions),
        "initramfs": None,  # it is among the files of the job
    }
    return Step(**{**facts, **pairs, **names, **made})


def _blob(here: Path, sha256: str) -> Path:
    """The blob, read once: the worker's store may be damaged. Raises BuildError."""
    path = here / BLOBS / sha256
    if file_sha256(path) != sha256:
        raise BuildError("has another hash", where=os.fspath(path))
    return path


def _tree(here: Path, keep: Path, sha256: str, work: Path) -> Path:
    """The unpacked blob; the one of an earlier step, if nobody changed it."""
    tree = keep / sha256
    if tree.exists() and not untouched(tree):
        remove_tree(tree)
    if not tree.exists():
        fresh = work / "tree"
        unpack(_blob(here, sha256), fresh)
        stamp_times(fresh)
        try:
            fresh.rename(tree)
        except OSError:  # another step of this worker has made it meanwhile
            remove_tree(fresh)
    _used(tree).touch()
    return tree


def _used(path: Path) -> Path:
    """The file whose time says when `path` was used last."""
    return path.with_name(f"{path.name}.used")


@contextlib.contextmanager
def _using(keep: Path, how: int = fcntl.LOCK_SH) -> Iterator[None]:
    """Hold the lock of the trees in `keep`. Raises BlockingIOError with LOCK_NB."""
    with (keep / LOCK).open("w") as lock:
        fcntl.flock(lock, how)
        yield


def _remove_unused(keep: Path) -> None:
    """Remove what no step has used for long, unless a step is using a tree now."""
    limit = time.time() - _UNUSED
    with contextlib.suppress(OSError), _using(keep, fcntl.LOCK_EX | fcntl.LOCK_NB):
        for path in keep.iterdir():
            used = _used(path)
            with contextlib.suppress(OSError):  # a step that ends removes its own directory
                is_old = (used if used.exists() else path).stat().st_mtime < limit
                if is_old and path.suffix != ".used" and path.name != LOCK:
                    remove_tree(path)
                    used.unlink(missing_ok=True)


def _about(keep: Path, work: Path) -> Report:
    """What this worker has. Raises BuildError if it has no sandbox."""
    return {
        "python": ".".join(map(str, sys.version_info[:3])),
        "machine": os.uname().machine,
        "user": os.geteuid(),
        "overlay": overlay_works(work),
        "keeps": keep.is_relative_to(_KEPT),
        "processors": processors(),
        "memory": memory()[0],
        "disk": shutil.disk_usage(keep).free,
    }
