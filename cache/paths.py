"""Where the user's cache lies, and its folders.

The cache is shared by all checkouts of one user. Nothing is made before it is needed, and what is
made is readable by its owner only.

    $BQ2_CACHE, or $XDG_CACHE_HOME/bootstrap-qcow2, or ~/.cache/bootstrap-qcow2
      sources/<sha256>          verified upstream files, read-only
      sources/partial/<sha256>  downloads that have not been verified yet
      artifacts/ steps/ trees/  what the artifact store keeps
      uses/                     which plans used what of all this lately
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from plan.errors import BuildError

NAME = "bootstrap-qcow2"
_SETTINGS_HINT = "set BQ2_CACHE to a folder that you can write to"


def root(environ: Mapping[str, str] | None = None) -> Path:
    """The absolute path of the user's cache, which need not exist yet.

    Raises BuildError when BQ2_CACHE is not absolute, or when nothing says where the home is. A
    relative XDG_CACHE_HOME is ignored, as the XDG base directory specification demands.
    """
    environ = os.environ if environ is None else environ
    chosen = environ.get("BQ2_CACHE", "")
    if chosen:
        if not Path(chosen).is_absolute():
            raise BuildError(
                f"BQ2_CACHE is the relative path {chosen}", hint="give an absolute path"
            )
        return Path(chosen)
    xdg = Path(environ.get("XDG_CACHE_HOME", ""))
    if xdg.is_absolute():
        return xdg / NAME
    home = Path(environ.get("HOME", ""))
    if not home.is_absolute():
        raise BuildError("no HOME says where the cache belongs", hint=_SETTINGS_HINT)
    return home / ".cache" / NAME


def folder(name: str) -> Path:
    """The folder `name` ("sources", "sources/partial", …) of the cache, made if it is missing.

    Raises BuildError when it cannot be made or written to.
    """
    path = root() / name
    try:
        # Not mkdir(parents=True): that would give the parents the umask's mode.
        for missing in reversed([p for p in (path, *path.parents) if not p.exists()]):
            missing.mkdir(mode=0o700, exist_ok=True)
        writable = os.access(path, os.W_OK | os.X_OK)
    except OSError as error:
        raise BuildError(
            f"the cache cannot be made: {error.strerror}", where=str(path), hint=_SETTINGS_HINT
        ) from error
    if not writable:
        raise BuildError("the cache cannot be written to", where=str(path), hint=_SETTINGS_HINT)
    return path


def source(sha256: str) -> Path:
    """Where the verified source `sha256` lies or will lie."""
    return root() / "sources" / sha256


def write(path: Path, text: str) -> None:
    """Write `text` as the file `path`, whole or not at all, safe against a power cut."""
    part = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync(path.parent)


def sync(path: Path) -> None:
    """Make what was renamed in the folder `path` last, whatever happens to the power."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
