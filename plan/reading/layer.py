"""A layer: a directory outside of this project that adds to what can be built.

    layer=PATH ─▶ PATH/layer.yaml           its name, what it needs, what it replaces
                  PATH/recipes/             recipes and their files, as in plan/recipes/
                  PATH/sets.yaml            more sets
                  PATH/files/               a tree that is laid over the root of the product
                  PATH/kernel/*.config      more of the kernel's configuration
                  PATH/seeds/               files of seeds, as in plan/seeds/
                  PATH/architectures.yaml   more architectures
                  PATH/licenses.yaml        more SPDX identifiers

All of them are optional. What is named almost like one of them is refused. Other files in the
directory are not part of the layer.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NoReturn

from plan.errors import BuildError, shortened
from plan.reading import app_section
from plan.reading.keys import LAYER, kinds
from plan.version import VERSION
from plan.versions import order
from plan.yamlfile import Table, load

ABOUT = "layer.yaml"
FILES = "files"
KERNEL = "kernel"
_DIRECTORIES = ("recipes", FILES, KERNEL, "seeds")
PARTS = (ABOUT, "sets.yaml", "architectures.yaml", "licenses.yaml", *_DIRECTORIES)
# How the files are named that are read in these directories.
_READ = {"recipes": ".yaml", "seeds": ".yaml", KERNEL: ".config"}
NAME = re.compile(r"[a-z0-9][a-z0-9-]*\Z")
_VERSION = re.compile(r"\d+(\.\d+)*\Z")
# What Kconfig takes, an empty line or a comment; and a comment that only looks like an answer.
_ASKED = re.compile(r"""\s*(#.*)?\Z|CONFIG_\w+=("([^"\\]|\\.)*"|(?!n\Z)[^\s"]+)\Z""")
_UNASKED = re.compile(r"(?!# CONFIG_\w+ is not set\Z)\s*#\s*CONFIG_\w+\s+is not set")
# Hidden files, what editors and patch(1) keep beside a file, and texts for people.
ASIDE = re.compile(r"[.#].*|__pycache__|.*(~|\.(bak|orig|rej|md|txt))|[A-Z]+")
# What editors and Python write beside a file: no layer has it, not even below files/.
_LEFT = re.compile(r"__pycache__|.*~|#.*#|\..*\.sw[a-p]")
# Whoever unpacks a product must be able to replace its files.
MODE = re.compile(r"0?1?[67][0-7]{2}\Z")


@dataclass(frozen=True)
class Layer:
    """A checked layer. `replaces`: what it replaces of the project and of the layers before it."""

    path: Path
    name: str
    replaces: tuple[str, ...] = ()
    replaces_at: str = ""
    """The "file:line" that says so."""
    modes: Mapping[str, str] = field(default_factory=dict)
    """Path below files/ → its mode, in octal digits. The others are 755 or 644."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Path in the product → the target of the symbolic link there."""

    @cached_property
    def content(self) -> tuple[tuple[str, bool], ...]:
        """The path of each file of the layer, and whether it is executable, sorted.

        Raises BuildError for what cannot be in a layer: a device, a set-user-id file, a link.
        """
        return tuple(sorted(self._content()))

    def _content(self) -> Iterator[tuple[str, bool]]:
        for part in PARTS:
            for path in _below(self.path / part):
                if not stat.S_ISDIR(mode := path.lstat().st_mode):
                    _check_mode(path, mode)
                    yield path.relative_to(self.path).as_posix(), bool(mode & stat.S_IXUSR)

    @cached_property
    def sha256(self) -> str:
        """The hash of all files of the layer: their paths, contents, and which are executable."""
        told = [f"{_sha256(self.path / name)} {runs:d} {name}\n" for name, runs in self.content]
        return hashlib.sha256("".join(told).encode("utf-8", "surrogateescape")).hexdigest()

    @property
    def fragments(self) -> list[Path]:
        """Its parts of the kernel's configuration, in the order of their names."""
        return sorted((self.path / KERNEL).glob("[!.]*.config"))


def load_layer(path: Path) -> Layer:
    """The layer in the directory `path`. Raises BuildError if something in it is wrong."""
    if not any((path / part).exists() for part in PARTS):
        raise BuildError(
            "this directory is not a layer",
            where=os.fspath(path),
            hint=f"a layer has one of: {', '.join(PARTS)}",
        )
    _check_kinds(path)
    _check_names(path)
    file = path / ABOUT
    table = load(file) if os.path.lexists(file) else Table(os.fspath(file), 1)
    table.expect(kinds(LAYER))
    name = table.get("name", path.name)
    if not NAME.match(name):
        raise BuildError(
            f"{name!r} cannot be the name of a layer",
            where=table.where("name"),
            hint=f"name: in {ABOUT} has lower case letters, digits and -",
        )
    needed = table.get("needs", VERSION)
    if not _VERSION.match(needed):
        raise BuildError(
            f"{needed!r} is no version",
            where=table.where("needs"),
            hint=f"needs: {VERSION} (the version of this project)",
        )
    if order(needed) > order(VERSION):
        raise BuildError(
            f"the layer {name} needs version {needed} of this project, and this is {VERSION}",
            where=table.where("needs"),
            hint="update the checkout of this project",
        )
    app_section.of_program(table)
    modes, links = table.mapping("modes"), table.mapping("links")
    _check_tree(table, path / FILES, modes, links)
    layer = Layer(path, name, table.texts("replaces"), table.where("replaces"), modes, links)
    layer.content  # noqa: B018  report what cannot be in a layer now
    for fragment in layer.fragments:
        _check_fragment(fragment)
    return layer


def _check_kinds(path: Path) -> None:
    """Raise BuildError if a part of the layer is a file in place of a directory, or vice versa."""
    for part in PARTS:
        place = path / part
        wanted = "a directory" if part in _DIRECTORIES else "a file"
        if os.path.lexists(place) and place.is_dir() != (part in _DIRECTORIES):
            raise BuildError(f"{part} of a layer is {wanted}", where=os.fspath(place))


def _check_names(path: Path) -> None:
    """Raise BuildError for what looks like a part of the layer, and what nothing reads."""
    near = {Path(part).stem.rstrip("s"): part for part in PARTS if part not in _DIRECTORIES}
    for file in _named(path):
        meant = near.get(file.stem.lower().rstrip("s"))
        if file.suffix.lower() in (".yaml", ".yml") and meant and file.name != meant:
            _refuse_unread(file, f"name it {meant}")
    for part, suffix in _READ.items():
        for file in _named(path / part):
            if file.suffix != suffix and not (file.is_dir() and part != KERNEL):
                _refuse_unread(file, f"name it {file.stem}{suffix}")


def _refuse_unread(file: Path, hint: str) -> NoReturn:
    raise BuildError("nothing reads this part of a layer", where=os.fspath(file), hint=hint)


def _named(directory: Path) -> list[Path]:
    """What is in `directory`, without what `ASIDE` matches; nothing if it is not there."""
    found = sorted(directory.iterdir()) if directory.is_dir() else []
    return [file for file in found if not ASIDE.fullmatch(file.name)]


def _check_fragment(path: Path) -> None:
    """Raise BuildError for a line that Kconfig would not take, or would drop in silence."""
    lines = path.read_text(encoding="utf-8-sig", errors="surrogateescape").splitlines()
    for number, line in enumerate(lines, 1):
        if not _ASKED.match(line) or _UNASKED.match(line):
            raise BuildError(
                f"{shortened(line)!r} is no line of a kernel's configuration",
                where=f"{path}:{number}",
                hint="CONFIG_NAME=y, or: # CONFIG_NAME is not set",
            )


def _below(top: Path) -> Iterator[Path]:
    if _LEFT.fullmatch(top.name):
        return
    if top.is_dir() and not top.is_symlink():
        for each in os.scandir(top):
            yield from _below(Path(each))
    if os.path.lexists(top) and not is_lock(top):
        yield top


def is_lock(path: Path) -> bool:
    """Whether `path` is the link to nothing that Emacs keeps beside a file while it is edited."""
    return path.name.startswith(".#") and path.is_symlink() and not path.exists()


def _check_mode(path: Path, mode: int) -> None:
    if stat.S_ISLNK(mode):
        raise BuildError(
            "a layer has no symbolic links",
            where=os.fspath(path),
            hint=f"if the product must have it, state it in {ABOUT}: "
            f"links: {{PATH: {path.readlink()}}}",
        )
    if not stat.S_ISREG(mode):
        raise BuildError(
            "a layer has only plain files",
            where=os.fspath(path),
            hint="remove the device, socket or FIFO; the kernel makes the devices in /dev",
        )
    if mode & (stat.S_ISUID | stat.S_ISGID):
        raise BuildError(
            "a layer has no set-user-id or set-group-id files",
            where=os.fspath(path),
            hint=f"chmod ug-s {path}",
        )


def _check_tree(
    table: Table, top: Path, modes: Mapping[str, str], links: Mapping[str, str]
) -> None:
    for inside, mode in modes.items():
        where = table["modes"].where(inside)
        if not MODE.match(mode):
            raise BuildError(
                f"{mode!r} is not a mode",
                where=where,
                hint="octal, without set-id bits, and root can write: 0640",
            )
        left = any(_LEFT.fullmatch(part) for part in inside.split("/"))
        if not _is_inside(inside) or left or not (top / inside).exists():
            raise BuildError(f"there is no {inside!r} below {FILES}/", where=where)
        if not any(path.is_file() for path in _below(top / inside)):
            # As in git: the product gets the directories of its files.
            raise BuildError(
                f"the directory {inside!r} has no file, so the product does not get it",
                where=where,
                hint=f"put a file into {FILES}/{inside}",
            )
    for inside, target in links.items():
        above = next((each for each in links if inside.startswith(f"{each}/")), "")
        if not target or above:
            raise BuildError(
                f"{inside!r} is below the link {above!r}" if above else "a link leads somewhere",
                where=table["links"].where(inside),
                hint="links: {PATH: TARGET}",
            )
        if not _is_inside(inside) or (top / inside).exists():
            raise BuildError(
                f"{inside!r} cannot be a link",
                where=table["links"].where(inside),
                hint=f"give a path like etc/localtime, which is not below {FILES}/ too",
            )


def _is_inside(path: str) -> bool:
    return bool(path) and not {"", ".", ".."} & set(path.split("/")) and "\n" not in path


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
