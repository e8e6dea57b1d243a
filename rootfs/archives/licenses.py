"""Finds the license texts of a source, by one rule for all sources.

    tar ───▶ top directory ──┬─ COPYING*, LICENSE*, LICENCE*, NOTICE*, COPYRIGHT*, … ─┐
                             └─ LICENSES/** ──────────────────────────────────────────┼─▶ texts
    wheel ─▶ *.dist-info/ and *.dist-info/licenses/ ─ the same names ─────────────────┘

Recipes do not name the texts: everything in a recipe is part of its step id. If no file matches,
the README is used (bdwgc has its license there).
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

from plan.errors import BuildError
from plan.typed import typed
from rootfs.archives.decompress import Damaged
from rootfs.archives.tar_stream import BLOCK, Stream, members
from rootfs.archives.unpack import LIMIT
from rootfs.archives.wheel import UNREADABLE

# Increase it when a change here finds other texts in the same source.
RULE = 1

_NAME = rb"(un)?licen[cs]e|copying|copyright|notice|patents|artistic|copyleft"
_TEXT = re.compile(rb"(%s)([._-][^/]*)?" % _NAME, re.IGNORECASE)
_PROGRAM = re.compile(rb".*\.(c|h|in|am|cmake|py|sh|pl|html?|svg|png|spdx)", re.IGNORECASE)
_README = re.compile(rb"readme(\.(md|txt))?", re.IGNORECASE)
_DIRECTORY = re.compile(rb"licen[cs]es/.*", re.IGNORECASE)
_ARCHIVE = re.compile(r".*\.(tar(\.\w+)?|tgz)")
_LARGEST = 1 << 20  # bytes; a larger file is not a license


def license_texts(path: Path, file: str) -> list[tuple[str, bytes]]:
    """The path in the source and the content of each text, sorted; none if it is no archive.

    path: of the source on this machine. file: its file name, which shows its kind.
    Raises BuildError.
    """
    try:
        if file.endswith(".whl"):
            found = dict(_of_wheel(path))
        elif _ARCHIVE.fullmatch(file):
            found = dict(_of_tar(path))
        else:
            found = {}
    except (Damaged, OSError, *UNREADABLE) as error:
        raise BuildError(
            f"its licenses cannot be read: {error}",
            where=file,
            hint=f"delete the file, then {typed('fetch')} downloads it",
        ) from error
    proper = {name for name in found if not _README.fullmatch(name)}
    chosen = sorted(proper or found)
    return [(name.decode("utf-8", "replace"), found[name]) for name in chosen]


def _is_text(name: bytes) -> bool:
    """Whether the member `name`, without the top directory, is a license text."""
    if _DIRECTORY.fullmatch(name):
        return True
    return bool(_TEXT.fullmatch(name)) and not _PROGRAM.fullmatch(name)


def _of_tar(path: Path) -> Iterator[tuple[bytes, bytes]]:
    with path.open("rb") as raw, Stream(raw, LIMIT) as stream:
        for member in members(stream):
            name = member.name.removeprefix(b"./").partition(b"/")[2]
            wanted = _is_text(name) or _README.fullmatch(name)
            if member.kind == b"0" and member.size <= _LARGEST and wanted:
                yield name, stream.take(member.size)
            else:
                stream.skip(member.size)
            stream.skip(-member.size % BLOCK)


def _of_wheel(path: Path) -> Iterator[tuple[bytes, bytes]]:
    with zipfile.ZipFile(path) as wheel:
        for info in wheel.infolist():
            directory, _, name = info.filename.partition("/")
            wanted = _is_text(name.removeprefix("licenses/").encode())
            if directory.endswith(".dist-info") and wanted and info.file_size <= _LARGEST:
                yield info.filename.encode(), wheel.read(info)
