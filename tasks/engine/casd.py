"""casd on this machine: through it a build with objects= reaches the workers of remote=.

    a build, without a network ──unix socket──▶ casd, in a sandbox of its own ──gRPC──▶ remote=

It has the network, and sees only its programs, its store and its credentials. It sees no file of
the user, because casd also serves calls that read files by their path, and a build can make such
calls. It ends with this process.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from cache import outward
from cache.reapi import ServerFailed
from plan.errors import BuildError
from plan.model import Command
from plan.seeding.debian import debs, load_lock
from plan.settings.settings import Settings
from plan.steps.plan import sha256_of
from rootfs.archives.deb import unpack_deb
from rootfs.archives.files import fresh_directory, remove_tree
from rootfs.sandbox.compose import Composer, bound, scratch
from rootfs.sandbox.enter import Sandbox, enter
from rootfs.sandbox.online import root_online
from tasks.engine.project import Project
from tasks.engine.sources import fetch_now
from tasks.engine.trees import keep_tree

LOCK = "plan/objects.lock.yaml"
SOCKET = "casd.sock"
_LIBRARIES = "usr/lib/x86_64-linux-gnu"
_POINTS = ("proc", "dev", "tmp", "store", "socket", "secret")
_WAIT = 30.0  # seconds for its socket
_KEPT = "20G"  # of blobs; the oldest go first


def argv(name: str, at: str = "") -> tuple[str, ...]:
    """The command that runs the pinned program `name`, mounted at `at`, by its own loader."""
    libraries = f"{at}/{_LIBRARIES}"
    loader = f"{libraries}/ld-linux-x86-64.so.2"
    return loader, "--library-path", libraries, f"{at}/usr/bin/{name}"


def programs(project: Project) -> Path:
    """The tree with recc, casd and their libraries, unpacked once. Raises BuildError."""
    pinned = debs(load_lock(project.root / LOCK))
    name = sha256_of([each.sha256 for each in pinned])
    tree = project.workdir / "objects" / f"programs-{name[:16]}"
    if not tree.exists():
        fetch_now(project, pinned)
        fresh = fresh_directory(tree.with_name("new"))
        for each in pinned:
            unpack_deb(project.fetched(each), fresh, exclude=("usr/share/*", "etc/*", "var/*"))
        keep_tree(fresh, tree)
    return tree


class Casd:
    """casd for one run; `directory` is its own, and has the directory `socket`."""

    def __init__(self, project: Project, tree: Path, directory: Path) -> None:
        self.project, self.tree, self.directory = project, tree, directory
        self.socket = directory / "socket"
        self.log = directory / "log"
        self._thread: threading.Thread | None = None
        self._failure = ""

    def start(self) -> None:
        """Start it, unless it runs, and wait for its socket. Raises ServerFailed."""
        if self._thread and self._thread.is_alive():
            return
        self._failure = ""
        fresh_directory(self.socket)
        self.log.unlink(missing_ok=True)
        arguments = tuple(_arguments(self.project.settings, fresh_directory(self._at("secret"))))
        atexit.register(remove_tree, self._at("secret"))
        place = self._sandbox()
        online = root_online(place, overlay=self.project.overlay)
        command = Command((*argv("buildbox-casd"), *arguments, "/store"), "/")

        def run() -> None:
            try:
                ended = enter(place, [command], log=self.log, online=online)
                self._failure = f"ended with status {ended[0].status}"
            except (BuildError, OSError) as error:
                self._failure = str(error)

        self._thread = threading.Thread(target=run, name="casd", daemon=True)
        self._thread.start()
        limit = time.monotonic() + _WAIT
        while not (self.socket / SOCKET).exists():
            if not self._thread.is_alive() or time.monotonic() > limit:
                reason = self._failure or f"has no socket after {_WAIT:g} s"
                raise ServerFailed(f"casd on this machine {reason} (log: {self.log})")
            time.sleep(0.05)

    def _at(self, name: str) -> Path:
        return self.directory / name

    def _sandbox(self) -> Sandbox:
        skeleton = fresh_directory(self._at("skeleton"))
        for name in _POINTS:
            (skeleton / name).mkdir()
        self._at("store").mkdir(exist_ok=True)
        mounts = [
            scratch("/tmp"),
            bound("/secret", self._at("secret")),
            bound("/store", self._at("store"), writable=True),
            bound("/socket", self.socket, writable=True),
        ]
        composer = Composer(self.directory, self.project.overlay)
        root = composer.readonly("/", [self.tree, skeleton])
        return Sandbox(self.directory, root, mounts, {"PATH": "/usr/bin"})


def _arguments(settings: Settings, secret: Path) -> Iterator[str]:
    """The arguments that say where the server is; credentials go into the directory `secret`."""
    where = urlsplit(settings.remote)
    secret.chmod(0o700)
    yield f"--bind=unix:/socket/{SOCKET}"
    yield f"--remote={'https' if where.scheme == 'grpcs' else 'http'}://{where.netloc}"
    yield f"--quota-high={_KEPT}"
    # recc asks for each file: a server that is gone must not cost a minute each time.
    yield "--retry-limit=1"
    if settings.instance:
        yield f"--instance={settings.instance}"
    if where.scheme == "grpcs":
        _write(secret / "authorities", Path(outward.certificate_file()).read_bytes())
        yield "--server-cert=/secret/authorities"
    if settings.client_certificate:
        _write(secret / "identity", settings.client_certificate.read_bytes())
        yield from ("--client-key=/secret/identity", "--client-cert=/secret/identity")
    for name, value in settings.headers.get(where.netloc.lower(), {}).items():
        kind, _, token = value.partition(" ")
        if (name.lower(), kind.lower()) != ("authorization", "bearer"):
            raise BuildError(
                f"objects= cannot send the header {name}",
                where=settings.remote,
                hint="it sends Authorization: Bearer TOKEN only; leave out objects=",
            )
        _write(secret / "token", token.encode())
        yield "--access-token=/secret/token"


def _write(file: Path, content: bytes) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(content)
