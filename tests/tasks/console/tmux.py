"""A real terminal for tests: tmux, whose screen can be read, resized and typed on."""

from __future__ import annotations

import os
import shlex
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path


class Tmux:
    """A window of tmux in which `command` runs; it stays when the command has ended."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        where: Path,
        environment: Mapping[str, str],
        columns: int,
        rows: int = 24,
    ) -> None:
        self.socket = f"bq2-{uuid.uuid4().hex}"
        own = {"PATH": os.environ["PATH"], **environment}
        settings = [f"{name}={value}" for name, value in own.items() if name not in ("CI", "TERM")]
        line = shlex.join(["env", "-u", "CI", *settings, *command])
        keep = ["set-option", "-g", "remain-on-exit", "on", ";"]
        self._tmux(
            *keep, "new-session", "-d", "-x", str(columns), "-y", str(rows), "-c", str(where), line
        )

    def __enter__(self) -> Tmux:
        return self

    def __exit__(self, *exception: object) -> None:
        self._tmux("kill-server")

    def screen(self, *, colours: bool = False) -> str:
        """The rows of the screen; with `colours`, also their renditions (SGR)."""
        return self._tmux("capture-pane", "-p", *(["-e"] if colours else []))

    def resize(self, columns: int, rows: int = 24) -> None:
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def type(self, text: str) -> None:
        self._tmux("send-keys", "-l", text)

    def enter(self) -> None:
        self.press("Enter")

    def press(self, key: str) -> None:
        """Press a key by tmux's name for it: "C-z"."""
        self._tmux("send-keys", key)

    def _tmux(self, *words: str) -> str:
        command = ["tmux", "-L", self.socket, "-f", "/dev/null", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout
