"""Puts a folder that is a source into the cache, as the tar whose hash the plan has.

The folder may change between the plan and the fetch: what has another hash is never kept.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from cache import paths
from cache.partial import disk_error
from cache.sources import present
from plan.errors import BuildError
from plan.model import Source
from plan.outputs import replacing
from plan.reading.folder import packed


def keep(source: Source, folder: Path, cache: Path) -> None:
    """Have `source`, which is the directory `folder`, in `cache`.

    Raises BuildError if it cannot be written, or if the folder is not what `source` was made of.
    """
    if present(source, cache, verify=False):
        return
    content = packed(folder)
    if hashlib.sha256(content).hexdigest() != source.sha256:
        raise BuildError(
            "a file in the folder changed since this run began",
            where=os.fspath(folder),
            hint="run it again",
        )
    path = paths.directory("sources", cache) / source.sha256
    try:
        with replacing(path) as file:
            file.write(content)
            os.fchmod(file.fileno(), 0o444)
    except OSError as error:
        raise disk_error(error, path) from error
