"""The results of `doit verify`, stored so that it can continue, and for other commands.

work/verified/<phase>-<name>.json, work/verified/product-{image,sysroot,oci}.json
work/challenged/… the same for `doit challenge` and `doit regenerate`; the variations are the seed
("seed=alpine") and, if the image built itself in QEMU, "vm":

    {"step": the step id (of a product: the hash of its inputs),
     "artifact": the sha256 of the current artifact, or of the product's file,
     "verdict": "identical", "differs", or "failed" if the second build failed,
     "variations": [the varied conditions: plan.settings.parameters.VARIATIONS, or as above],
     "differences": [{"path", "where", "old", "new", "cause"}...],
     "shared": [the files that are in both seeds],
     "when": the day ("2026-01-31", UTC), "machine": the kind of the machine}

If the step or artifact is not the current one, the result counts as missing. If several runs find
it identical, their variations are added up. A difference stays until the step is identical under
all of its variations. work/verified/<phase>-<name>.again is the differing result of a second build,
or its log if it failed.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from plan.outputs import write_file

IDENTICAL, DIFFERS, FAILED = "identical", "differs", "failed"
DIRECTORY, CHALLENGED = "verified", "challenged"


@dataclass(frozen=True)
class Verdict:
    """The result for one step or product."""

    step: str
    artifact: str
    verdict: str
    variations: list[str]
    differences: list[dict[str, Any]] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)
    when: str = ""
    machine: str = ""

    def covers(self, variations: set[str]) -> bool:
        """Whether a build with `variations` would add nothing new."""
        return self.verdict == IDENTICAL and variations <= set(self.variations)


class Verified:
    """The file of one step or product, called `name`, in the work directory `workdir`."""

    def __init__(self, workdir: Path, name: str, directory: str = DIRECTORY) -> None:
        self.file = workdir / directory / f"{name}.json"
        self.made = self.file.with_suffix(".again")

    def read(self, step: str, artifact: str) -> Verdict | None:
        """The result for this step with this artifact, if known."""
        try:
            found = Verdict(**json.loads(self.file.read_text()))
        except (OSError, ValueError, TypeError):
            return None
        return found if (found.step, found.artifact) == (step, artifact) else None

    def keep(self, new: Verdict) -> None:
        """Add a new result to the known ones."""
        old, variations = self.read(new.step, new.artifact), set(new.variations)
        if old and new.verdict == IDENTICAL:
            if old.verdict == IDENTICAL:
                variations |= set(old.variations)
            elif not set(old.variations) <= variations:
                return
        content = asdict(new) | {"variations": sorted(variations)}
        content |= {"when": f"{datetime.now(UTC):%Y-%m-%d}", "machine": _machine()}
        write_file(self.file, json.dumps(content, indent=1) + "\n")
        if new.verdict == IDENTICAL:
            self.made.unlink(missing_ok=True)


def verdicts(workdir: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """All results in the work directory `workdir`, with the names of their files.

    Unreadable files are skipped, as `doit verify` does.
    """
    for directory in (DIRECTORY, CHALLENGED):
        for path in sorted((workdir / directory).glob("*.json")):
            try:
                row = dict(json.loads(path.read_text()))
                if {"step", "artifact", "variations", "verdict"} <= row.keys():
                    yield path.stem, row
            except (OSError, ValueError, TypeError):
                continue


def _machine() -> str:
    """The kind of this machine: architecture, kernel and processor."""
    system = os.uname()
    model = re.search(r"^model name\s*: (.+)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return ", ".join([system.machine, f"Linux {system.release}", *([model[1]] if model else [])])
