"""Fetches a file whose hash nobody has stated yet, for a recipe that will state it.

    URL, or commit ──▶ sources/.<process>.….new ──sha256──▶ sources/<sha256>

All later runs check that hash: this one trusts the server, as the person does who asks for it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Iterable
from pathlib import Path

from cache import git, paths
from cache.partial import disk_error
from cache.places import UrlFailed
from cache.web import Web
from plan.errors import BuildError
from plan.model import Source
from plan.outputs import unfinished
from plan.urls import GIT

_CHUNK = 1 << 20


def fetch_unknown(url: str, cache: Path | None = None) -> Source:
    """The file at `url`, which the cache has from now on. Raises BuildError."""
    path = unfinished(paths.directory("sources", cache) / "new")
    web = Web(unchecked=True)
    try:
        if GIT.fullmatch(url):
            sha256, size = _checked_out(url, path)
        else:
            sha256, size = _downloaded(web, url, path)
        path.chmod(0o444)
        path.replace(paths.source(sha256, cache))
    except UrlFailed as error:
        hint = "\n  ".join(web.remedies) or "check the URL, and the network"
        raise BuildError(f"cannot be fetched: {error.reason}", where=url, hint=hint) from error
    except OSError as error:
        raise disk_error(error, path) from error
    finally:
        path.unlink(missing_ok=True)
    return Source(sha256, size, _name(url), (url,))


def _name(url: str) -> str:
    """The name of the file: a commit's has the name of its repository."""
    name = url.rpartition("/")[2]
    if not GIT.fullmatch(url):
        return name.lstrip(".")  # a source's file is not hidden
    repository, _, commit = name.rpartition("@")
    return f"{repository.partition('.')[0]}-{commit[:12]}.tar"


def _downloaded(web: Web, url: str, path: Path) -> tuple[str, int]:
    with web.get(url) as response:
        announced = response.headers.get("Content-Length", "")
        sha256, size = _written(iter(lambda: web.read(response, _CHUNK), b""), path)
    if announced.isdecimal() and int(announced) != size:
        raise UrlFailed(f"ended after {size} of {announced} bytes")
    return sha256, size


def _checked_out(url: str, path: Path) -> tuple[str, int]:
    directory = path.with_name(f"{path.name}.git")
    try:
        git.fetched(url, directory, threading.Event())
        return _written(git.archive(directory, url), path)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _written(pieces: Iterable[bytes], path: Path) -> tuple[str, int]:
    with path.open("w+b") as file:
        for piece in pieces:
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
        file.seek(0)
        return hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
