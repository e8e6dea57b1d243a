"""Looks into a source without unpacking it: for `recipe new`.

tarball, wheel ──▶ the names of its files, below its top directory
               └─▶ the texts of a few of them
"""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from plan.errors import BuildError
from rootfs.archives.decompress import Damaged
from rootfs.archives.tar_stream import BLOCK, Stream, members
from rootfs.archives.unpack import LIMIT

_LARGEST = 8 << 20  # bytes of a text; the largest configure scripts have 2 MB


@dataclass(frozen=True)
class Inside:
    """The names of the files in a source, and the texts of those that were asked for."""

    names: Collection[str]
    texts: Mapping[str, str]


def look_inside(path: Path, file: str, wanted: Collection[str]) -> Inside:
    """What is in the source at `path`, whose file name is `file`; nothing if it is no archive.

    wanted: the names of the texts to read. Raises BuildError if it is damaged, or if a tarball has
    no directory that all of its files are in.
    """
    names, texts = set[str](), dict[str, str]()
    try:
        if file.endswith(".whl"):
            with zipfile.ZipFile(path) as wheel:
                names.update(wheel.namelist())
        elif ".tar" in file or file.endswith(".tgz"):
            for name, data in _files(path, file, wanted):
                names.add(name)
                if name in wanted:
                    texts[name] = data.decode("utf-8", "replace")
    except (Damaged, zipfile.BadZipFile, OSError) as error:
        raise BuildError(f"{file} cannot be read: {error}") from error
    return Inside(names, texts)


def _files(path: Path, file: str, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """The name of each member below the top directory, and the content if it is `wanted`."""
    tops = set[bytes]()
    with path.open("rb") as raw, Stream(raw, LIMIT) as stream:
        for member in members(stream):
            top, _, below = member.name.removeprefix(b"./").partition(b"/")
            name, data = below.decode("utf-8", "replace"), b""
            if member.kind == b"0" and name in wanted and member.size <= _LARGEST:
                data = stream.take(member.size)
            else:
                stream.skip(member.size)
            stream.skip(-member.size % BLOCK)
            if top not in (b"", b"."):
                tops.add(top)
            if len(tops) > 1 or (name == "" and member.kind == b"0"):
                raise BuildError(
                    "its files are not in one directory at its top, which is left out when it is "
                    "unpacked",
                    where=file,
                    hint="use upstream's own tarball, or a commit (git+https://…@COMMIT)",
                )
            if name:
                yield name, data
