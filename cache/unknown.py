"""Fetches a file whose hash nobody has stated yet, for a recipe that will state it.

    URL ──▶ sources/.<process>.….new ──sha256──▶ sources/<sha256>

All later runs check that hash: this one trusts the server, as the person does who asks for it.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from cache import paths
from cache.partial import disk_error
from cache.places import UrlFailed
from cache.web import Web
from plan.errors import BuildError
from plan.model import Source
from plan.outputs import unfinished

if TYPE_CHECKING:
    import requests

_CHUNK = 1 << 20


def fetch_unknown(url: str, cache: Path | None = None) -> Source:
    """The file at `url`, which the cache has from now on. Raises BuildError."""
    path = unfinished(paths.directory("sources", cache) / "new")
    web = Web()
    try:
        with web.get(url) as response:
            announced = response.headers.get("Content-Length", "")
            sha256, size = _received(response, path)
        if announced.isdecimal() and int(announced) != size:
            raise UrlFailed(f"ended after {size} of {announced} bytes")
        path.chmod(0o444)
        path.replace(paths.source(sha256, cache))
    except UrlFailed as error:
        hint = "\n  ".join(web.remedies) or "check the URL"
        raise BuildError(f"cannot be fetched: {error.reason}", where=url, hint=hint) from error
    except OSError as error:
        raise disk_error(error, path) from error
    finally:
        path.unlink(missing_ok=True)
    return Source(sha256, size, url.rpartition("/")[2], (url,))


def _received(response: requests.Response, path: Path) -> tuple[str, int]:
    with path.open("w+b") as file:
        while chunk := response.raw.read(_CHUNK):
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
        file.seek(0)
        return hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
