"""Fetches one commit with git, as a tar archive whose bytes depend on the commit's tree alone.

    git+https://HOST/REPOSITORY@COMMIT ──git fetch──▶ bare repository ──ls-tree, cat-file──▶ tar

The archive has the paths, modes, links and contents of the tree. Nothing of the commit, of the
repository's attributes (`export-subst`) or of git's version is in it, so its sha256 identifies the
tree. The form of the URL is that of SPDX 2.3, 7.7. COMMIT is a whole object name: a branch moves.

git uses this machine's settings (proxy, certificates, keys, `insteadOf`), and asks nobody.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import IO

from cache import program
from cache.partial import Partial
from cache.places import AnotherFile, UrlFailed
from plan.compiling.toolchain import SOURCE_DATE_EPOCH
from plan.errors import BuildError
from plan.room import no_room
from plan.urls import GIT

TOP = "tree"
"""The only directory at the top of the archive."""

# All of git's own variables (GIT_DIR, …) would lead to another repository; these are settings.
_SETTINGS = (
    "GIT_SSH",
    "GIT_SSL",
    "GIT_PROXY",
    "GIT_HTTP",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_NOSYSTEM",
)
_SSH = "ssh -o BatchMode=yes"
_CHUNK = 1 << 20
# git's modes of the entries of a tree → the type and the mode of a member.
_MODES = {
    b"100644": (tarfile.REGTYPE, 0o644),
    b"100664": (tarfile.REGTYPE, 0o644),  # of repositories from 2005
    b"100755": (tarfile.REGTYPE, 0o755),
    b"120000": (tarfile.SYMTYPE, 0o777),
    b"160000": (tarfile.DIRTYPE, 0o755),  # a submodule: an empty directory, as in a fresh clone
}


def split(url: str) -> tuple[str, str] | None:
    """The address for git and the commit in `url`; None if it is no URL of a commit."""
    found = GIT.fullmatch(url)
    return (found[1], found[2]) if found else None


def download(url: str, partial: Partial, *, stop: threading.Event) -> None:
    """Complete `partial` with the tree of the commit at `url`.

    Raises UrlFailed with git's reason, Stopped if `stop` is set, and BuildError if the file
    cannot be written.
    """
    directory = partial.path.with_name(f"{partial.path.name}.git")
    try:
        fetched(url, directory, stop)
        partial.empty()
        for piece in archive(directory, url):
            partial.append(piece)
    except OSError as error:
        where, hint = str(directory), no_room(error, directory)
        raise BuildError(f"git cannot be run: {error.strerror}", where=where, hint=hint) from error
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    partial.size = partial.size or partial.length
    if not partial.complete():
        found, length = partial.found(), partial.length
        partial.empty()
        raise AnotherFile(f"git: another tree: its sha256 is {found}, its size {length}")


def fetched(url: str, directory: Path, stop: threading.Event) -> None:
    """Make `directory` a repository with the commit at `url`.

    Raises UrlFailed with git's reason, Stopped if `stop` is set, OSError.
    """
    address, commit = _parts(url)
    path = Path(address.removeprefix("file://"))
    # A bundle file: git reads it by its path only.
    place = os.fspath(path) if address.startswith("file://") and path.is_file() else address
    shutil.rmtree(directory, ignore_errors=True)
    _git(["init", "--bare", "--quiet", "--template=", os.fspath(directory)], stop)
    get = ["-C", os.fspath(directory), "fetch", "--quiet", "--no-tags"]
    try:
        _git([*get, "--depth=1", place, commit], stop)
    except UrlFailed:
        # Old servers, plain web servers and bundles do not give a commit by its name.
        _git([*get, place, "+refs/*:refs/fetched/*"], stop)
        try:
            _git(["-C", os.fspath(directory), "cat-file", "-e", f"{commit}^{{commit}}"], stop)
        except UrlFailed:
            raise UrlFailed(f"git: it has no commit {commit}") from None


def archive(directory: Path, url: str) -> Iterator[bytes]:
    """The bytes of the archive of the commit at `url`, which the repository `directory` has."""
    _, commit = _parts(url)
    git = ["git", "-C", os.fspath(directory)]
    tree = subprocess.run(
        [*git, "ls-tree", "-r", "-z", "--full-tree", commit],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        env=_environment(),
    )
    if tree.returncode != 0:
        raise UrlFailed(f"git: {_reason(tree.stderr.decode(errors='replace'))}")
    reader = subprocess.Popen(
        [*git, "cat-file", "--batch"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=_environment(),
    )
    with reader:
        assert reader.stdin and reader.stdout
        for line in tree.stdout.split(b"\0")[:-1]:
            about, _, path = line.partition(b"\t")
            mode, _, blob = about.split()
            yield from _member(path, mode, blob, reader.stdin, reader.stdout)
        reader.stdin.close()
    yield bytes(2 * tarfile.BLOCKSIZE)  # the end of the archive (POSIX.1, pax)


def _member(
    path: bytes, mode: bytes, blob: bytes, ask: IO[bytes], answer: IO[bytes]
) -> Iterator[bytes]:
    info = tarfile.TarInfo(f"{TOP}/{os.fsdecode(path)}")
    info.type, info.mode = _MODES[mode]
    info.mtime = SOURCE_DATE_EPOCH
    size = 0
    if info.type != tarfile.DIRTYPE:
        ask.write(blob + b"\n")
        ask.flush()
        told = answer.readline().split()
        if len(told) != 3:
            raise UrlFailed(f"git: the repository lacks the content of {os.fsdecode(path)}")
        size = int(told[2])
    if info.type == tarfile.SYMTYPE:
        info.linkname = os.fsdecode(answer.read(size))
    elif info.type == tarfile.REGTYPE:
        info.size = size
    yield info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
    for start in range(0, info.size, _CHUNK):
        yield answer.read(min(_CHUNK, info.size - start))
    yield bytes(-info.size % tarfile.BLOCKSIZE)
    if info.type != tarfile.DIRTYPE:
        answer.read(1)  # the newline after each object


def _parts(url: str) -> tuple[str, str]:
    found = split(url)
    assert found, url
    return found


def _git(arguments: list[str], stop: threading.Event) -> None:
    try:
        status, said = program.run(["git", *arguments], stop=stop, environment=_environment())
    except FileNotFoundError:
        raise UrlFailed("git is not installed on this machine") from None
    if status != 0:
        raise UrlFailed(f"git: {_reason(said)}")


def _environment() -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name.startswith(_SETTINGS)
    }
    quiet = {"GIT_TERMINAL_PROMPT": "0", "GIT_NO_REPLACE_OBJECTS": "1", "LC_ALL": "C"}
    # An empty GIT_ASKPASS wins over SSH_ASKPASS and core.askPass, which may open a window.
    quiet |= {"GIT_ASKPASS": "", "SSH_ASKPASS_REQUIRE": "never"}
    # A server that says nothing for a minute: git alone would wait for ever (git-config(1)).
    patience = {"GIT_HTTP_LOW_SPEED_LIMIT": "1", "GIT_HTTP_LOW_SPEED_TIME": "60"}
    theirs = "GIT_SSH" in kept or _has_ssh(tuple(kept.items()))
    own = {} if theirs else {"GIT_SSH_COMMAND": _SSH}
    return {**own, **patience, **kept, **quiet}


@cache
def _has_ssh(environment: tuple[tuple[str, str], ...]) -> bool:
    """Whether the person's settings of git name a program in place of ssh."""
    command = ["git", "config", "--get", "core.sshCommand"]
    asked = subprocess.run(
        command, capture_output=True, cwd="/", env=dict(environment), check=False
    )
    return asked.returncode == 0


def _reason(said: str) -> str:
    """The reason in git's output: its first error."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line.partition(": ")[2] for line in lines if line.startswith(("fatal: ", "error: "))]
    return (errors or lines or ["it fails without a message"])[0]
