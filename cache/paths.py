"""The paths of the user's cache and its directories.

All checkouts of one user share the cache. Without the argument `cache`, functions use the cache of
the environment. Directories are made when they are needed; only their owner can read them.

    $BQ2_CACHE, or $XDG_CACHE_HOME/bootstrap-qcow2, or ~/.cache/bootstrap-qcow2
      sources/<sha256>          verified upstream files, read-only
      sources/partial/<sha256>  downloads that are not verified yet
      artifacts/ steps/ trees/  the artifact store
      uses/                     what recent plans use
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from plan.errors import BuildError

NAME = "bootstrap-qcow2"
_SETTINGS_HINT = "set BQ2_CACHE to a directory that you can write to"


def root(environ: Mapping[str, str] | None = None) -> Path:
    """The absolute path of the user's cache, which may not exist yet.

    Raises BuildError if BQ2_CACHE is not absolute, or if HOME is needed and not set. A relative
    XDG_CACHE_HOME is ignored, as the XDG base directory specification requires.
    """
    environ = os.environ if environ is None else environ
    chosen = environ.get("BQ2_CACHE", "")
    if chosen:
        if not Path(chosen).is_absolute():
            raise BuildError(
                f"BQ2_CACHE is the relative path {chosen}", hint="set it to an absolute path"
            )
        return Path(chosen)
    xdg = Path(environ.get("XDG_CACHE_HOME", ""))
    if xdg.is_absolute():
        return xdg / NAME
    home = Path(environ.get("HOME", ""))
    if not home.is_absolute():
        raise BuildError("the cache has no path: HOME is not set", hint=_SETTINGS_HINT)
    return home / ".cache" / NAME


def directory(name: str, cache: Path | None = None) -> Path:
    """The directory `name` ("sources", "sources/partial", …) of `cache`, made if it is missing.

    Raises BuildError if it cannot be made or written to.
    """
    path = (cache or root()) / name
    try:
        # Not mkdir(parents=True): the umask would set the mode of the parents.
        above = () if path.exists() else (path, *path.parents)
        for missing in reversed([p for p in above if not p.exists()]):
            missing.mkdir(mode=0o700, exist_ok=True)
        writable = os.access(path, os.W_OK | os.X_OK)
    except OSError as error:
        raise BuildError(
            f"the cache cannot be made: {error.strerror}", where=str(path), hint=_SETTINGS_HINT
        ) from error
    if not writable:
        raise BuildError("the cache cannot be written to", where=str(path), hint=_SETTINGS_HINT)
    return path


def source(sha256: str, cache: Path | None = None) -> Path:
    """The path of the verified source `sha256` in `cache`; it may not exist yet."""
    return (cache or root()) / "sources" / sha256
