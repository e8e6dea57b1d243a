"""A folder as a source: one tar, whose bytes depend only on names, contents, and which files run.

    folder ──git's list, or all files──▶ listed ──▶ packed ──▶ tar ──sha256──▶ Source

The hash of the tar identifies the source, as that of an upstream file does. So the cache, a bundle,
a product and the provenance hold the folder as they hold any other source. Its path is in none of
them: the same files elsewhere are the same source.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from plan.compiling.toolchain import SOURCE_DATE_EPOCH
from plan.errors import BuildError
from plan.model import Source
from plan.reading.layer import is_lock

if TYPE_CHECKING:
    import subprocess

LARGEST = 256 << 20  # bytes: every run reads the folder
TOP = "source"
"""The directory in the tar: an unpacked source loses its first one."""
SHARDS = "lib"
"""Where a Crystal project has the libraries that it uses. Git is mostly told to ignore it."""
FOLDER = "folder:"
"""How the only URL of such a source begins: no place to fetch it from, but a name for people."""


def folder_source(directory: Path, name: str, where: str, exclude: tuple[str, ...] = ()) -> Source:
    """The folder `directory` as the source of the package `name`. Raises BuildError.

    where: the place that names the folder. exclude: globs of files that are not unpacked.
    """
    if not directory.is_dir():
        raise BuildError(f"there is no folder {directory}", where=where)
    content = packed(directory)
    sha256 = hashlib.sha256(content).hexdigest()
    return Source(sha256, len(content), f"{name}.tar", (f"{FOLDER}{name}",), exclude)


def listed(directory: Path) -> list[str]:
    """The files and links in `directory` that belong to the source: their paths in it, sorted.

    In a work tree of git, they are those that git tracks or would add, and of a Crystal project
    also the directory `lib`. Elsewhere they are all, and also where git ignores the whole folder.
    Raises BuildError.
    """
    found = set(_known_to_git(directory) or _below(directory, ""))
    if (directory / "shard.yml").is_file() and (directory / SHARDS).is_dir():
        found.update(_below(directory, SHARDS))
    whole = {path for name in found for path in _whole(directory, name)}
    return sorted((path for path in whole if not is_lock(directory / path)), key=os.fsencode)


def would_hold(directory: Path, path: Path) -> bool:
    """Whether a file at `path`, below `directory`, would belong to the source. Raises BuildError.

    path: relative to `directory`; nothing need be there.
    """
    if path.parts[:1] == (SHARDS,) or not _known_to_git(directory):
        return True
    return _git(directory, "check-ignore", "-q", "--", os.fspath(path)).returncode != 0


def packed(directory: Path) -> bytes:
    """The tar of `listed`: a link is the file that it leads to.

    Raises BuildError for what a source cannot hold, or if it is too large.
    """
    from tarfile import BLOCKSIZE, PAX_FORMAT, TarInfo

    parts, size = list[bytes](), 0
    for name in listed(directory):
        path = directory / name
        mode = _mode(directory, path)
        if (size := size + path.stat().st_size) > LARGEST:
            raise BuildError(
                f"its files have more than {LARGEST >> 20} MiB, too much for a source",
                where=os.fspath(directory),
                hint="let git ignore what the build does not need, or name a smaller folder",
            )
        info, content = TarInfo(f"{TOP}/{name}"), path.read_bytes()
        info.mtime, info.size = SOURCE_DATE_EPOCH, len(content)
        info.mode = 0o755 if mode & stat.S_IXUSR else 0o644
        parts += (info.tobuf(PAX_FORMAT, "utf-8", "surrogateescape"), content)
        parts.append(bytes(-len(content) % BLOCKSIZE))
    return b"".join((*parts, bytes(2 * BLOCKSIZE)))


def _mode(directory: Path, path: Path) -> int:
    """The mode of the file `path`. Raises BuildError if it is not a file of `directory`."""
    # Not Path.resolve(): a loop of links is no error here.
    if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(
        os.path.realpath(directory)
    ):
        raise BuildError(
            f"this link leads out of the folder, to {path.readlink()}",
            where=os.fspath(path),
            hint="put a copy in its place: a build sees nothing but the folder",
        )
    if path.is_symlink() and not path.exists():
        raise BuildError(
            f"this link leads nowhere, to {path.readlink()}",
            where=os.fspath(path),
            hint="remove it, or let git ignore it",
        )
    mode = path.stat().st_mode if path.exists() else 0
    if not stat.S_ISREG(mode) or "\n" in path.name:
        raise BuildError(
            "a source can have only regular files whose names have no line break",
            where=repr(os.fspath(path)),
            hint="remove it, or let git ignore it",
        )
    return mode


def _whole(directory: Path, name: str) -> Iterator[str]:
    """`name`; if it is a directory, which git lists for a submodule, all files below it."""
    path = directory / name
    if path.is_dir() and not path.is_symlink():
        yield from _below(directory, name)
    elif os.path.lexists(path):
        yield name


def _below(directory: Path, inside: str) -> Iterator[str]:
    """All files and links below `directory`/`inside`, without those of git itself."""
    for each in os.scandir(directory / inside):
        path = f"{inside}/{each.name}" if inside else each.name
        if each.is_dir(follow_symlinks=False):
            if each.name != ".git":
                yield from _below(directory, path)
        elif each.name != ".git":
            yield path


def _known_to_git(directory: Path) -> list[str]:
    """What git tracks or would add in `directory`; nothing if it is in no work tree of git."""
    if not _is_in_git(directory):
        return []
    done = _git(directory, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise BuildError("git cannot list the files", where=os.fspath(directory), hint=said)
    return [os.fsdecode(name) for name in done.stdout.split(b"\0") if name]


def _is_in_git(directory: Path) -> bool:
    return any((above / ".git").exists() for above in (directory, *directory.parents))


def _git(directory: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    """git with `words` in `directory`. Raises BuildError if it is not installed."""
    import subprocess

    try:
        # The repository is a stranger's, perhaps: no program that it names is started.
        return subprocess.run(
            ["git", "-c", "core.fsmonitor=false", *words],
            cwd=directory,
            env={name: text for name, text in os.environ.items() if not name.startswith("GIT_")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        raise BuildError(
            "git tracks the files of this folder, and git is not installed",
            where=os.fspath(directory),
            hint="install git, or copy the folder to a place outside of the repository",
        ) from None
