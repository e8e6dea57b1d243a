"""Unpacks wheels, which are zip files (PEP 427), as a seed's programs: no installer, no Python.

    wheel ──members──▶ files under one folder, those marked so executable

The hash of the file was checked before; what is refused here is what may not be in any wheel.
"""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from plan.errors import BuildError
from rootfs.globs import compiled

_EXECUTABLE = 0o111


def unpack_wheel(wheel: Path, into: Path, *, name: str, leave: Sequence[str] = ()) -> None:
    """Unpack the files of `wheel` into the folder `into`, which may hold others.

    name: for messages. leave: globs of members that stay packed. Raises BuildError if it is no
    zip file, is damaged, or holds a name that leads out of the folder or that is there already.
    """
    left = compiled(leave)
    try:
        with zipfile.ZipFile(wheel) as file:
            for member in file.infolist():
                packed = left is not None and left.match(os.fsencode(member.filename))
                if not member.is_dir() and not packed:
                    _unpack(file, member, into, name)
    except (zipfile.BadZipFile, EOFError, ValueError) as error:
        hint = "delete the file and fetch it again"
        raise BuildError(f"is no sound wheel: {error}", where=name, hint=hint) from error
    except FileExistsError as error:
        raise BuildError(f"holds twice what lies at {error.filename}", where=name) from error


def _unpack(file: zipfile.ZipFile, member: zipfile.ZipInfo, into: Path, name: str) -> None:
    path = PurePosixPath(member.filename)
    if path.is_absolute() or ".." in path.parts or "\0" in member.filename:
        raise BuildError(f"{member.filename!r} leads out of the folder", where=name)
    place = into / path
    place.parent.mkdir(parents=True, exist_ok=True)
    with file.open(member) as packed, place.open("xb") as unpacked:
        shutil.copyfileobj(packed, unpacked, 1 << 20)
    # The upper half of the field is Unix's mode (APPNOTE.TXT of the zip format, 4.4.15).
    place.chmod(0o755 if member.external_attr >> 16 & _EXECUTABLE else 0o644)
