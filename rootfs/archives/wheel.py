"""Unpacks wheels (zip files, PEP 427) for a seed, without an installer.

    wheel ──members──▶ files below one directory; executable if the wheel says so

The caller checks the hash of the file. Members that no valid wheel has are refused.
"""

from __future__ import annotations

import os
import shutil
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from plan.errors import BuildError
from rootfs.archives.globs import compiled

UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError)
"""What zipfile raises for a file that is damaged, encrypted, or packed in an unknown way."""
_EXECUTABLE = 0o111


def unpack_wheel(wheel: Path, into: Path, *, name: str, exclude: Sequence[str] = ()) -> None:
    """Unpack the files of `wheel` into the directory `into`, which may have other files.

    name: for messages. exclude: globs of members to skip. Raises BuildError if it is not a zip
    file, is damaged, or has a name that leads out of the directory or already exists.
    """
    left, made = compiled(exclude), set[Path]()
    try:
        with zipfile.ZipFile(wheel) as file:
            for member in file.infolist():
                packed = left is not None and left.match(os.fsencode(member.filename))
                if not member.is_dir() and not packed:
                    _unpack(file, member, into, made, name)
    except UNREADABLE as error:
        hint = "delete the file and fetch it again"
        raise BuildError(f"is not a valid wheel: {error}", where=name, hint=hint) from error
    except FileExistsError as error:
        raise BuildError(f"the file {error.filename} already exists", where=name) from error


def _unpack(
    file: zipfile.ZipFile, member: zipfile.ZipInfo, into: Path, made: set[Path], name: str
) -> None:
    """Unpack one `member`. made: the directories that are there and lead nowhere else."""
    path = PurePosixPath(member.filename)
    if path.is_absolute() or ".." in path.parts or "\0" in member.filename:
        raise BuildError(f"{member.filename!r} leads out of the directory", where=name)
    place = into / path
    if place.parent not in made:
        # What is there already may be somebody's root, with links.
        if Path(os.path.realpath(place.parent)) != Path(os.path.realpath(into)) / path.parent:
            raise BuildError(f"{member.filename!r} leads through a link", where=name)
        place.parent.mkdir(parents=True, exist_ok=True)
        made.add(place.parent)
    with file.open(member) as packed, place.open("xb") as unpacked:
        shutil.copyfileobj(packed, unpacked, 1 << 20)
    # The upper half of the field is the Unix mode (APPNOTE.TXT of the zip format, 4.4.15).
    place.chmod(0o755 if member.external_attr >> 16 & _EXECUTABLE else 0o644)
