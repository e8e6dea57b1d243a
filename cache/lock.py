"""One run a work directory: a lock that names its holder, and goes when its holder dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from plan.errors import BuildError
from plan.room import no_room


class WorkLock:
    """flock(2) on `<workdir>/lock`; the file holds the process id and the command of its holder."""

    def __init__(self, workdir: Path) -> None:
        self.path = workdir / "lock"
        self.file: IO[str] | None = None

    def take(self, command: str) -> None:
        """Hold the lock until this process ends. Raises BuildError that says who holds it.

        Also raises BuildError if the work directory cannot be written to.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.file = self._claimed(command)
        except OSError as error:
            room = no_room(error, self.path.parent)
            raise BuildError(
                f"the work directory cannot be used: {error.strerror}",
                where=os.fspath(self.path.parent),
                hint="; or ".join(filter(None, (room, "name another one: workdir=PATH"))),
            ) from error

    def _claimed(self, command: str) -> IO[str]:
        file = self.path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another run"
            file.close()
            raise BuildError(
                f"the work directory is in use by {holder}",
                where=os.fspath(self.path.parent),
                hint="wait for it, or give this run another one: workdir=PATH",
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()} ({command})\n")
        file.flush()
        return file

    def holder(self) -> str | None:
        """Who holds the lock, as they call themselves, or None if nobody does."""
        try:
            # Not by trying to take it: a run that begins at that moment would be refused.
            held = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
            inode = f":{self.path.stat().st_ino}"
            if any("FLOCK" in line and line[5].endswith(inode) for line in held):
                return self.path.read_text().strip() or "another run"
        except (OSError, IndexError):
            pass
        return None

    def release(self) -> None:
        """Let others have the work directory; fine if it is not held."""
        if self.file:
            self.file.close()
            self.file = None
