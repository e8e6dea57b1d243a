"""The artifact store: built artifacts, found by the hash of their inputs (the step id).

    steps/<step id>.json ──names──▶ artifacts/<sha256>.tar ──unpacked once──▶ trees/<sha256>/
    contradicted/<step id>.json     all records of a step whose builds gave different artifacts

The store says which artifact a step id has. Each entry is written, synced and renamed, the
artifact before its record: after a crash each entry is complete or absent. An artifact's name is
its hash, so two builds can only write the same content. A step's first artifact stays in use; a
record with another artifact is kept beside it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from cache import paths
from plan.errors import BuildError
from plan.outputs import sync_directory, write_file
from plan.typed import typed

DAY = 86400  # seconds

# The directories that may have temporary files.
DIRECTORIES = (
    *("artifacts", "contradicted", "seeds", "sources", "sources/partial", "steps", "trees"),
    "uses",
)


class Vanished(BuildError):
    """A recorded artifact is missing, or was damaged and is removed: it must be built again."""

    def __init__(self, name: str, path: Path, *, how: str = "is gone") -> None:
        hint = "run it again to rebuild the artifact; check the disk for errors"
        super().__init__(f"the artifact of {name} {how}", where=os.fspath(path), hint=hint)


@dataclass(frozen=True)
class Finished:
    """What is known of a finished step. Times in seconds, sizes in bytes."""

    step: str
    name: str
    version: str
    phase: str
    artifact: str
    size: int
    seconds: float
    cpu: float
    memory: int

    @property
    def facts(self) -> dict[str, Any]:
        """These fields, without those of a subclass."""
        return {field.name: getattr(self, field.name) for field in fields(Finished)}


@dataclass(frozen=True)
class Record(Finished):
    """The store's record of a finished step."""

    resumed: bool = False
    """Whether the times count only from the last interruption on."""
    origin: str = ""
    """The URL of the shared cache that it was taken from; empty: it was built here."""

    @classmethod
    def of(cls, facts: Any) -> Record:
        """The record with the `facts` of a JSON object. Raises ValueError for anything else."""
        try:
            found = cls(**facts)
        except TypeError as error:
            raise ValueError(str(error)) from error
        names = (found.step, found.name, found.version, found.phase, found.artifact, found.origin)
        numbers = (found.size, found.seconds, found.cpu, found.memory)
        if not all(isinstance(each, str) for each in names):
            raise ValueError("a text is missing")
        if not all(isinstance(each, (int, float)) for each in numbers):
            raise ValueError("a number is missing")
        return found

    @property
    def text(self) -> str:
        """The record as JSON. Earlier versions of this program can read one that was built here."""
        facts = asdict(self)
        if not self.origin:
            del facts["origin"]
        return json.dumps(facts, indent=1)


class Store:
    """The store in the user's cache."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or paths.root()

    def artifact(self, sha256: str) -> Path:
        """The path of the artifact `sha256`; it may not exist yet."""
        return self.root / "artifacts" / f"{sha256}.tar"

    def tree(self, sha256: str) -> Path:
        """The path of the unpacked artifact `sha256`; it may not exist yet."""
        return self.root / "trees" / sha256

    def scratch(self) -> Path:
        """A directory on the store's file system for files to register."""
        return paths.directory("artifacts", self.root)

    def find(self, step: str) -> Record | None:
        """The record of the step id `step`, if its artifact exists with the right size.

        An unreadable record counts as missing: building again repairs it.
        """
        record = self._read(step)
        with contextlib.suppress(OSError):
            if record and self.artifact(record.artifact).stat().st_size == record.size:
                return record
        return None

    def records(self) -> list[Record]:
        """All readable records, oldest first. Their artifacts may be gone."""
        found = []
        for path in (self.root / "steps").glob("[0-9a-f]*.json"):
            with contextlib.suppress(OSError, ValueError):
                found.append((path.stat().st_mtime_ns, Record.of(parsed(path))))
        return [record for _, record in sorted(found, key=lambda each: each[0])]

    def register(self, packed: Path, record: Record) -> None:
        """Move the synced file `packed` into the store as `record.artifact`, then write the record.

        If an earlier record of the step names another artifact, that record stays, and
        `contradicting` returns both from now on.
        """
        target = self.artifact(record.artifact)
        packed.chmod(0o444)
        packed.replace(target)
        sync_directory(target.parent)
        with self._alone():
            first = self._read(record.step)
            known = self.contradicting(record.step) or [each for each in (first,) if each]
            if all(each.artifact == record.artifact for each in known):
                write_file(self._record(record.step), record.text)
            elif record.artifact not in {each.artifact for each in known}:
                path = self._contradicted(record.step)
                path.parent.mkdir(exist_ok=True)
                rows = [asdict(each) for each in (*known, record)]
                write_file(path, json.dumps(rows, indent=1))

    def contradicting(self, step: str) -> list[Record]:
        """The records of the step id `step` if its builds gave different artifacts, else none.

        The first one is the record in use.
        """
        try:
            return [Record.of(row) for row in parsed(self._contradicted(step))]
        except FileNotFoundError:
            return []
        except (ValueError, TypeError) as error:
            path = os.fspath(self._contradicted(step))
            hint = f"{typed('fsck')} removes it; then build again"
            raise BuildError("cannot be read", where=path, hint=hint) from error

    def contradicted(self) -> list[list[Record]]:
        """The result of `contradicting` for each step that has one."""
        files = sorted((self.root / "contradicted").glob("[0-9a-f]*.json"))
        return [found for file in files if (found := self.contradicting(file.stem))]

    def choose(self, record: Record) -> None:
        """Use `record` from now on, and drop the other records of its step."""
        with self._alone():
            write_file(self._record(record.step), record.text)
            self._contradicted(record.step).unlink(missing_ok=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """A lock for comparing and writing records, for one thread of one process."""
        directory = self.root / "steps"
        directory.mkdir(parents=True, exist_ok=True)
        with (directory / "lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def require_intact(self, sha256: str, name: str) -> None:
        """Raise Vanished unless the artifact has the hash in its name.

        A damaged artifact is removed, so that it is built again. name: of its package.
        """
        path = self.artifact(sha256)
        try:
            with path.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() == sha256:
                    return
                # Another process may have replaced the damaged file in the meantime.
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    path.unlink()
        except FileNotFoundError as error:
            raise Vanished(name, path) from error
        raise Vanished(name, path, how="was damaged and is removed")

    def sweep(self) -> None:
        """Remove the unfinished files of killed processes: `.<process id>.<name>`.

        Only after a day: processes of another container are not visible here.
        """
        for directory in DIRECTORIES:
            for path in (self.root / directory).glob(".[0-9]*.*"):
                gone = not Path("/proc", path.name.split(".")[1]).exists()
                with contextlib.suppress(FileNotFoundError):  # another run may remove it too
                    if gone and time.time() - path.lstat().st_mtime > DAY:
                        _remove(path)

    def _read(self, step: str) -> Record | None:
        """The record of the step id `step`, if it is readable; its artifact may be gone."""
        try:
            return Record.of(parsed(self._record(step)))
        except (OSError, ValueError):
            return None

    def _record(self, step: str) -> Path:
        return self.root / "steps" / f"{step}.json"

    def _contradicted(self, step: str) -> Path:
        return self.root / "contradicted" / f"{step}.json"


def parsed(path: Path) -> Any:
    """The JSON in the file `path`. Raises OSError, and ValueError if it is none."""
    try:
        return json.loads(path.read_text())
    except RecursionError as error:
        raise ValueError(str(error)) from error


def _remove(path: Path) -> None:
    import shutil

    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
