"""The patches of a recipe, in the order in which they are applied.

recipes/NAME/patches/series ──▶ the order that it states (the format of quilt)
none                        ──▶ the order of the names
"""

from __future__ import annotations

import os
import re
from pathlib import PurePath

from plan.errors import BuildError, nearest
from plan.reading.layer import ASIDE
from plan.reading.recipe_files import Files, Made, content

DIRECTORY, SERIES = "patches", "series"
_COMMENT, _WORD = re.compile("#(.*)"), re.compile(r"[\w.+/-]+")
_LINE = re.compile(r"\s*(?P<name>[^#\s]\S*)?(?:\s+-p(?P<strip>\S+))?\s*(?:#.*)?")


def patch_series(files: Files) -> list[str]:
    """The paths of the patches among the `files` of a recipe, in order.

    Raises BuildError if the file `series` lists what is not there, or leaves a patch out. A patch
    in a comment is left out on purpose.
    """
    here = [path for path in files if path.startswith(f"{DIRECTORY}/")]
    series = files.get(f"{DIRECTORY}/{SERIES}")
    named = {path.removeprefix(f"{DIRECTORY}/"): path for path in here}
    if series is None:
        return [path for name, path in named.items() if _is_patch(name, files[path])]
    text = content(series).decode("utf-8-sig", "replace")
    aside = {word.strip(".") for words in _COMMENT.findall(text) for word in _WORD.findall(words)}
    del named[SERIES]
    found = list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        match = _LINE.fullmatch(line)
        name, where = match["name"] if match else line, f"{_place(series)}:{number}"
        if not match or match["strip"] not in (None, "1", "ab"):
            raise BuildError(
                f"cannot be applied: {line.strip()!r}",
                where=where,
                hint="patches are applied with -p1: write only the name",
            )
        if name and name not in named:
            raise BuildError(f"there is no patch {name!r}", where=where, hint=nearest(name, named))
        if name and named[name] in found:
            raise BuildError(f"the patch {name} would be applied twice", where=where)
        if name:
            found.append(named[name])
    for name, path in named.items():
        if path not in found and name not in aside and not ASIDE.fullmatch(PurePath(name).name):
            raise BuildError(
                f"the patch {name} is not listed",
                where=_place(series),
                hint="add its name in the place where it is to be applied, or as a comment (#)",
            )
    return found


def _is_patch(name: str, made: Made) -> bool:
    """Whether `name` is a patch; what editors leave and texts are none. Raises BuildError."""
    if ASIDE.fullmatch(PurePath(name).name):
        return False
    if not name.endswith(".patch"):
        raise BuildError(
            "only NAME.patch is applied",
            where=_place(made),
            hint=f"give it such a name in {DIRECTORY}/, or list it in {DIRECTORY}/{SERIES}",
        )
    return True


def _place(series: Made) -> str:
    return os.fspath(series.parts[0])
