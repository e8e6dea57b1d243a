"""The artifact store: what has been built, found by what it was built from.

    steps/<step id>.json ──names──▶ artifacts/<sha256>.tar ──unpacked once──▶ trees/<sha256>/

It is the truth about what stands. An entry is written completely, synced and renamed into place,
the artifact before the record that names it: whenever the machine dies, each entry is whole or
absent. Artifacts are named by their content, so two builders can only write the same thing.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from cache import paths
from plan.errors import BuildError

DAY = 86400  # seconds

# Where something unfinished, or about to be removed, may lie.
FOLDERS = ("artifacts", "seeds", "sources", "sources/partial", "steps", "trees", "uses")


@dataclass(frozen=True)
class Record:
    """What is known of one step that was run. Times in seconds, sizes in bytes."""

    step: str
    name: str
    version: str
    phase: str
    artifact: str
    size: int
    seconds: float
    cpu: float
    memory: int
    resumed: bool = False
    """Whether the times are only those since the build was interrupted last."""


class Store:
    """The store in the user's cache."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or paths.root()

    def artifact(self, sha256: str) -> Path:
        """Where the artifact `sha256` lies or will lie."""
        return self.root / "artifacts" / f"{sha256}.tar"

    def tree(self, sha256: str) -> Path:
        """Where the unpacked artifact `sha256` lies or will lie."""
        return self.root / "trees" / sha256

    def scratch(self) -> Path:
        """A folder on the store's file system for files that are about to be registered."""
        return paths.folder("artifacts")

    def find(self, step: str) -> Record | None:
        """The record of the step id `step`, if its artifact is here and has its size.

        A record that cannot be read counts as missing: building again repairs it.
        """
        try:
            record = Record(**json.loads(self._record(step).read_text()))
            if self.artifact(record.artifact).stat().st_size == record.size:
                return record
        except (OSError, ValueError, TypeError):
            pass
        return None

    def records(self) -> list[Record]:
        """All records that can be read, the oldest first. Their artifacts may be gone."""
        found = []
        for path in (self.root / "steps").glob("[0-9a-f]*.json"):
            with contextlib.suppress(OSError, ValueError, TypeError):
                found.append((path.stat().st_mtime_ns, Record(**json.loads(path.read_text()))))
        return [record for _, record in sorted(found, key=lambda each: each[0])]

    def register(self, packed: Path, record: Record) -> None:
        """Take over the synced file `packed` as `record.artifact`, then write the record."""
        target = self.artifact(record.artifact)
        packed.chmod(0o444)
        packed.replace(target)
        paths.sync(target.parent)
        path = self._record(record.step)
        path.parent.mkdir(parents=True, exist_ok=True)
        paths.write(path, json.dumps(asdict(record), indent=1))

    def require_intact(self, sha256: str, name: str) -> None:
        """Raise BuildError unless the artifact has the content that its name promises.

        A damaged one is removed, so that the next run builds it again. `name`: its package.
        """
        path = self.artifact(sha256)
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() == sha256:
                return
        path.unlink()
        raise BuildError(
            f"the artifact of {name} was damaged and is removed",
            where=os.fspath(path),
            hint="run again: it will be built anew; and look after the disk",
        )

    def sweep(self) -> None:
        """Remove what processes that were killed left unfinished: `.<process id>.<name>`.

        Only after a day: another container's processes cannot be seen from here.
        """
        for folder in FOLDERS:
            for path in (self.root / folder).glob(".[0-9]*.*"):
                gone = not Path("/proc", path.name.split(".")[1]).exists()
                if gone and time.time() - path.lstat().st_mtime > DAY:
                    _remove(path)

    def _record(self, step: str) -> Path:
        return self.root / "steps" / f"{step}.json"


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
