"""One run per work directory: a lock that names its holder and ends with the holder's process."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from plan.errors import BuildError
from plan.room import no_room


class WorkLock:
    """flock(2) on `<workdir>/lock`; the file has the process id and the command of the holder."""

    def __init__(self, workdir: Path) -> None:
        self.path = workdir / "lock"
        self.file: IO[str] | None = None

    def take(self, command: str) -> None:
        """Hold the lock until this process ends.

        Raises BuildError if another process holds it, naming that process, or if the work directory
        is not writable.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.file = self._claimed(command)
        except OSError as error:
            room = no_room(error, self.path.parent)
            raise BuildError(
                f"the work directory cannot be used: {error.strerror}",
                where=os.fspath(self.path.parent),
                hint="; or ".join(filter(None, (room, "use another directory: workdir=PATH"))),
            ) from error

    def _claimed(self, command: str) -> IO[str]:
        # surrogateescape: the command may have file names that are not UTF-8.
        file = self.path.open("a+", encoding="utf-8", errors="surrogateescape")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another run"
            file.close()
            raise BuildError(
                f"the work directory is in use by {holder}",
                where=os.fspath(self.path.parent),
                hint="wait for it, or use another directory: workdir=PATH",
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()} ({command})\n")
        file.flush()
        return file

    def holder(self) -> str | None:
        """The text of the lock's holder, or None if the lock is free."""
        try:
            # Not by taking the lock: a run that starts at that moment would fail.
            held = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
            inode = f":{self.path.stat().st_ino}"
            pids = [line[4] for line in held if "FLOCK" in line and line[5].endswith(inode)]
            if not pids:
                return None
            told = self.path.read_text("utf-8", "surrogateescape").strip()
            # A file of another file system may have the same number.
            if not told or any(told.startswith(f"process {pid} ") for pid in pids):
                return told or "another run"
        except (OSError, IndexError):
            pass
        return None

    def release(self) -> None:
        """Release the lock, if it is held."""
        if self.file:
            self.file.close()
            self.file = None
