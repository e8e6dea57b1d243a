"""The licence texts that a source brings, found by one rule for all.

    tar, wheel ──▶ top folder ──┬─ COPYING*, LICENSE*, LICENCE*, NOTICE*, COPYRIGHT*, … ─┐
                                └─ LICENSES/**                                           ├─▶ texts
                   wheel ──▶ *.dist-info/, and licenses/ in it ─ the same names ─────────┘

A package cannot name its texts itself: a recipe's words reach the id of its step. The rule is
the same for every source, so that the same source gives the same texts. Where it finds none, the
licence is in the README (bdwgc), which is taken then.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

from plan.errors import BuildError
from rootfs.archive import LIMIT
from rootfs.decompress import Damaged
from rootfs.tarstream import BLOCK, Stream, members

# Raise it when the same source gives other texts.
RULE = 1

_NAME = rb"(un)?licen[cs]e|copying|copyright|notice|patents|artistic|copyleft"
_TEXT = re.compile(rb"(%s)([._-][^/]*)?" % _NAME, re.IGNORECASE)
_PROGRAM = re.compile(rb".*\.(c|h|in|am|cmake|py|sh|pl|html?|svg|png|spdx)", re.IGNORECASE)
_README = re.compile(rb"readme(\.(md|txt))?", re.IGNORECASE)
_FOLDER = re.compile(rb"licen[cs]es/.*", re.IGNORECASE)
_ARCHIVE = re.compile(r".*\.(tar(\.\w+)?|tgz)")
_LARGEST = 1 << 20  # bytes; a longer file is no licence


def licence_texts(path: Path, file: str) -> list[tuple[str, bytes]]:
    """Path in the source and content of each text, sorted; none where the source is no archive.

    path: where it lies. file: its own name, which says what it is. Raises BuildError.
    """
    try:
        if file.endswith(".whl"):
            found = dict(_of_wheel(path))
        elif _ARCHIVE.fullmatch(file):
            found = dict(_of_tar(path))
        else:
            found = {}
    except (Damaged, zipfile.BadZipFile, OSError) as error:
        raise BuildError(
            f"its licences cannot be read: {error}", where=file, hint="doit fetch, with a new copy"
        ) from error
    proper = {name for name in found if not _README.fullmatch(name)}
    chosen = sorted(proper or found)
    return [(name.decode("utf-8", "replace"), found[name]) for name in chosen]


def _is_text(name: bytes) -> bool:
    """Whether the member `name`, less the top folder, is one of those that are wanted."""
    if _FOLDER.fullmatch(name):
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
            folder, _, name = info.filename.partition("/")
            wanted = _is_text(name.removeprefix("licenses/").encode())
            if folder.endswith(".dist-info") and wanted and info.file_size <= _LARGEST:
                yield info.filename.encode(), wheel.read(info)
