"""Which plans used what of the cache lately, so that it is known what none of them uses.

    uses/<checkout>-<plan>.jsonl   its time is that of the last run with this plan
        {"checkout": …, "sources": […], "seeds": […]}   written before the run looks for anything
        {"<step id>": "<artifact>"}                     added with each step that stands or is built
    uses/lock                      held by all who take something over, and alone by who removes

Whoever removes holds the lock alone from the first look until the last thing has lost its name: so
nothing is taken over in between that is not said to be used. A line that a power cut took away
costs at most a build.
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

from cache import paths
from cache.partial import disk_error
from plan.errors import BuildError

# Seconds that the records of a checkout count that cannot be found: its disk may be away.
PATIENCE = 7 * 86400
_NAME = re.compile(r"([0-9a-f]{16})-[0-9a-f]{16}\.jsonl")


@dataclass
class Use:
    """What is used of the cache. steps: step id → artifact; sources: sha256; seeds: identities."""

    steps: dict[str, str] = field(default_factory=dict)
    sources: set[str] = field(default_factory=set)
    seeds: set[str] = field(default_factory=set)

    def add(self, other: Use) -> None:
        """Take in what `other` uses."""
        self.steps |= other.steps
        self.sources |= other.sources
        self.seeds |= other.seeds


class Uses:
    """What this run uses. Before `begin`, and where the cache is read-only, nothing is written."""

    def __init__(self) -> None:
        self._file: Path | None = None
        self._known: dict[str, str] = {}
        self._lock = threading.Lock()

    def begin(self, checkout: Path, plan: str, *, sources: set[str], seed: str) -> None:
        """Say what the plan with the digest `plan` uses, whatever is built.

        Raises BuildError if the disk does not take it.
        """
        try:
            folder = paths.folder("uses")
        except BuildError:
            return  # what cannot be written to can lose nothing either
        file = folder / f"{_short(os.fspath(checkout))}-{_short(plan + seed)}.jsonl"
        told = {"checkout": os.fspath(checkout), "sources": sorted(sources), "seeds": [seed]}
        try:
            with saying():
                before = _read(file)
                if before is None:
                    paths.write(file, json.dumps(told) + "\n")
                else:
                    os.utime(file)
                self._known = before[1].steps if before else {}
        except OSError as error:
            raise disk_error(error, file) from error
        self._file = file

    def took(self, step: str, artifact: str) -> None:
        """Say that the step id `step` is used, and what it gave. From any thread."""
        with self._lock:
            if self._file is None or self._known.get(step) == artifact:
                return
            try:
                with self._file.open("a", encoding="utf-8") as file:
                    # A line that was cut off ends here.
                    file.write(f"\n{json.dumps({step: artifact})}\n")
            except OSError as error:
                raise disk_error(error, self._file) from error
            self._known[step] = artifact


@contextmanager
def saying() -> Iterator[None]:
    """Held while something is taken over, from the look for it until it is said to be used."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(BuildError):
            stack.enter_context(_locked(fcntl.LOCK_SH))
        yield


@contextmanager
def removing() -> Iterator[None]:
    """Held alone, while it is found out what is used, and what is not loses its name.

    Raises BuildError if the cache cannot be written to.
    """
    with _locked(fcntl.LOCK_EX):
        yield


@contextmanager
def _locked(how: int) -> Iterator[None]:
    with (paths.folder("uses") / "lock").open("a") as file:
        fcntl.flock(file, how)
        yield


def recent(keep: int) -> tuple[Use, list[Path]]:
    """What the last `keep` plans of each checkout use, and the records of all other plans.

    A record that cannot be read counts among the others.
    """
    use, others, kept = Use(), [], dict[str, int]()
    for file in _records():
        read, whose = _read(file), file.name.partition("-")[0]
        if read is None or kept.get(whose, 0) >= keep or _is_gone(read[0], file):
            others.append(file)
        else:
            kept[whose] = kept.get(whose, 0) + 1
            use.add(read[1])
    return use, others


def _records() -> Sequence[Path]:
    """The files of all records, that of the last run first."""
    found = [path for path in (paths.root() / "uses").glob("*") if _NAME.fullmatch(path.name)]
    return sorted(found, key=lambda path: (-path.stat().st_mtime_ns, path.name))


def _is_gone(checkout: str, file: Path) -> bool:
    lost = not Path(checkout, "dodo.py").exists()
    return lost and time.time() - file.stat().st_mtime > PATIENCE


def _read(file: Path) -> tuple[str, Use] | None:
    """The checkout and what it uses, as far as it can be read."""
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
