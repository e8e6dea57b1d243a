"""The artifact store: what has been built, found by what it was built from.

    steps/<step id>.json ──names──▶ artifacts/<sha256>.tar ──unpacked once──▶ trees/<sha256>/
    contradicted/<step id>.json     all records of a step whose builds gave different artifacts

It is the truth about what stands. An entry is written completely, synced and renamed into place,
the artifact before the record that names it: whenever the machine dies, each entry is whole or
absent. Artifacts are named by their content, so two builders can only write the same thing. Records
are not: the first one stays, and another that names other bytes is kept beside it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from cache import paths
from plan.errors import BuildError

DAY = 86400  # seconds

# Where something unfinished, or about to be removed, may lie.
FOLDERS = (
    *("artifacts", "contradicted", "seeds", "sources", "sources/partial", "steps", "trees"),
    "uses",
)


class Vanished(BuildError):
    """An artifact that stood is gone, or was damaged and is removed: it has to be made again."""

    def __init__(self, name: str, path: Path, *, how: str = "is gone") -> None:
        hint = "run again: it will be built anew; and look after the disk"
        super().__init__(f"the artifact of {name} {how}", where=os.fspath(path), hint=hint)


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
        record = self._read(step)
        with contextlib.suppress(OSError):
            if record and self.artifact(record.artifact).stat().st_size == record.size:
                return record
        return None

    def records(self) -> list[Record]:
        """All records that can be read, the oldest first. Their artifacts may be gone."""
        found = []
        for path in (self.root / "steps").glob("[0-9a-f]*.json"):
            with contextlib.suppress(OSError, ValueError, TypeError):
                found.append((path.stat().st_mtime_ns, Record(**json.loads(path.read_text()))))
        return [record for _, record in sorted(found, key=lambda each: each[0])]

    def register(self, packed: Path, record: Record) -> None:
        """Take over the synced file `packed` as `record.artifact`, then write the record.

        Where an earlier record of the step names another artifact, that one stays, and both are
        what `contradicting` gives from now on.
        """
        target = self.artifact(record.artifact)
        packed.chmod(0o444)
        packed.replace(target)
        paths.sync(target.parent)
        with self._alone():
            first = self._read(record.step)
            known = self.contradicting(record.step) or [each for each in (first,) if each]
            if all(each.artifact == record.artifact for each in known):
                paths.write(self._record(record.step), json.dumps(asdict(record), indent=1))
            elif record.artifact not in {each.artifact for each in known}:
                path = self._contradicted(record.step)
                path.parent.mkdir(exist_ok=True)
                rows = [asdict(each) for each in (*known, record)]
                paths.write(path, json.dumps(rows, indent=1))

    def contradicting(self, step: str) -> list[Record]:
        """The records of the step id `step`, the believed one first, where its builds gave
        different artifacts; none where they did not.
        """
        try:
            return [Record(**row) for row in json.loads(self._contradicted(step).read_text())]
        except FileNotFoundError:
            return []
        except (ValueError, TypeError) as error:
            path = os.fspath(self._contradicted(step))
            hint = "remove it, and build again"
            raise BuildError("cannot be read", where=path, hint=hint) from error

    def contradicted(self) -> list[list[Record]]:
        """What `contradicting` gives of every step of which it gives something."""
        files = sorted((self.root / "contradicted").glob("[0-9a-f]*.json"))
        return [found for file in files if (found := self.contradicting(file.stem))]

    def choose(self, record: Record) -> None:
        """Believe `record` from now on, and no other of its step."""
        with self._alone():
            paths.write(self._record(record.step), json.dumps(asdict(record), indent=1))
            self._contradicted(record.step).unlink(missing_ok=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Held while records are compared and written, by one thread of one process."""
        folder = self.root / "steps"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def require_intact(self, sha256: str, name: str) -> None:
        """Raise Vanished unless the artifact has the content that its name promises.

        A damaged one is removed, so that it is built again. `name`: its package.
        """
        path = self.artifact(sha256)
        try:
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() == sha256:
                    return
                # Another process may have seen it too, and built it again meanwhile.
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    path.unlink()
        except FileNotFoundError as error:
            raise Vanished(name, path) from error
        raise Vanished(name, path, how="was damaged and is removed")

    def sweep(self) -> None:
        """Remove what processes that were killed left unfinished: `.<process id>.<name>`.

        Only after a day: another container's processes cannot be seen from here.
        """
        for folder in FOLDERS:
            for path in (self.root / folder).glob(".[0-9]*.*"):
                gone = not Path("/proc", path.name.split(".")[1]).exists()
                with contextlib.suppress(FileNotFoundError):  # another run sweeps too
                    if gone and time.time() - path.lstat().st_mtime > DAY:
                        _remove(path)

    def _read(self, step: str) -> Record | None:
        """The record of the step id `step`, if it can be read, wherever its artifact is."""
        try:
            return Record(**json.loads(self._record(step).read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def _record(self, step: str) -> Path:
        return self.root / "steps" / f"{step}.json"

    def _contradicted(self, step: str) -> Path:
        return self.root / "contradicted" / f"{step}.json"


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
