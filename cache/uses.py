"""Records what recent plans use of the cache, so that `doit gc` can find unused items.

    uses/<checkout>-<plan>.jsonl   its mtime is that of the last run with this plan
        {"checkout": …, "sources": […], "seeds": […]}   written before the run uses the cache
        {"<step id>": "<artifact>"}                     added when a step is up to date or built
    uses/lock                      shared by processes that use items, exclusive to remove items

A process that removes items holds the lock exclusively from the first check to the last removal, so
no other process can begin to use an item in between. A line lost in a power cut costs at most one
build.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from cache import paths
from cache.partial import disk_error
from plan.errors import BuildError
from plan.outputs import write_file

# Seconds to keep the records of a missing checkout: its disk may be unmounted.
PATIENCE = 7 * 86400
_NAME = re.compile(r"([0-9a-f]{16})-[0-9a-f]{16}\.jsonl")


@dataclass
class Use:
    """The used items. steps: step id → artifact; sources: sha256; seeds: identities."""

    steps: dict[str, str] = field(default_factory=dict)
    sources: set[str] = field(default_factory=set)
    seeds: set[str] = field(default_factory=set)

    def add(self, other: Use) -> None:
        """Add the items of `other`."""
        self.steps |= other.steps
        self.sources |= other.sources
        self.seeds |= other.seeds


class Uses:
    """Records what this run uses of `cache`.

    Before `begin`, and if the cache is read-only, nothing is written.
    """

    def __init__(self, cache: Path | None = None) -> None:
        self.cache = cache
        self._file: Path | None = None
        self._running: IO[str] | None = None
        self._known: dict[str, str] = {}
        self._lock = threading.Lock()

    def begin(self, checkout: Path, plan: str, *, sources: set[str], seed: str) -> None:
        """Record the sources and the seed of the plan with the digest `plan`.

        Raises BuildError if the record cannot be written.
        """
        try:
            directory = paths.directory("uses", self.cache)
        except BuildError:
            return  # nothing can be removed from a read-only cache
        file = directory / f"{_short(os.fspath(checkout))}-{_short(plan + seed)}.jsonl"
        told = {"checkout": os.fspath(checkout), "sources": sorted(sources), "seeds": [seed]}
        try:
            with saying(self.cache):
                before = _read(file)
                if before is None:
                    write_file(file, json.dumps(told) + "\n")
                else:
                    os.utime(file)
                self._known = before[1].steps if before else {}
                # Held until this process ends: until then all its items count as used.
                self._running = file.open("a")
                fcntl.flock(self._running, fcntl.LOCK_SH)
        except OSError as error:
            raise disk_error(error, file) from error
        self._file = file

    def took(self, step: str, artifact: str) -> None:
        """Record that the step id `step` and its `artifact` are used. Safe in any thread."""
        with self._lock:
            if self._file is None or self._known.get(step) == artifact:
                return
            try:
                with self._file.open("a", encoding="utf-8") as file:
                    # The first newline ends a line that was cut off.
                    file.write(f"\n{json.dumps({step: artifact})}\n")
            except OSError as error:
                raise disk_error(error, self._file) from error
            self._known[step] = artifact


@contextmanager
def saying(cache: Path | None = None) -> Iterator[None]:
    """Hold the shared lock from the search for an item until its use is recorded."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(BuildError):
            stack.enter_context(_locked(fcntl.LOCK_SH, cache))
        yield


@contextmanager
def removing(cache: Path | None = None) -> Iterator[None]:
    """Hold the exclusive lock while unused items are found and removed.

    Raises BuildError if the cache is not writable.
    """
    with _locked(fcntl.LOCK_EX, cache):
        yield


@contextmanager
def _locked(how: int, cache: Path | None) -> Iterator[None]:
    with (paths.directory("uses", cache) / "lock").open("a") as file:
        fcntl.flock(file, how)
        yield


def recent(keep: int, cache: Path | None = None) -> tuple[Use, list[Path]]:
    """The items that running plans and the last `keep` plans of each checkout use.

    Also returns the record files of all other plans, and unreadable ones.
    """
    use, others, kept = Use(), [], dict[str, int]()
    for file in _records(cache or paths.root()):
        read, whose = _read(file), file.name.partition("-")[0]
        if read and _is_running(file):
            use.add(read[1])
        elif read is None or kept.get(whose, 0) >= keep or _is_gone(read[0], file):
            others.append(file)
        else:
            kept[whose] = kept.get(whose, 0) + 1
            use.add(read[1])
    return use, others


def _records(cache: Path) -> Sequence[Path]:
    """The files of all records, the latest run first."""
    found = []
    for path in (cache / "uses").glob("*"):
        with contextlib.suppress(FileNotFoundError):  # during a dry run another gc may remove it
            if _NAME.fullmatch(path.name) and path.is_file():
                found.append((-path.stat().st_mtime_ns, path.name, path))
    return [path for _, _, path in sorted(found)]


def _is_running(file: Path) -> bool:
    """Whether the run of this record still holds its lock."""
    with file.open() as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _is_gone(checkout: str, file: Path) -> bool:
    lost = not Path(checkout, "dodo.py").exists()
    return lost and time.time() - file.stat().st_mtime > PATIENCE


def _read(file: Path) -> tuple[str, Use] | None:
    """The checkout and its used items; None if unreadable. Invalid lines are skipped."""
    try:
        first, *lines = file.read_text(encoding="utf-8").splitlines()
        told = json.loads(first)
        checkout, use = str(told["checkout"]), Use({}, {*told["sources"]}, {*told["seeds"]})
    except (OSError, ValueError, TypeError, KeyError):
        return None
    for line in lines:
        with contextlib.suppress(ValueError, TypeError):
            use.steps |= json.loads(line) if line else {}
    return checkout, use


def _short(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:16]
