"""Makes the tree of a seed: the first build root.

    .debs in order ──▶ usr-merged tree; no script of a package runs
      ──▶ the directories, files and links that maintainer scripts would make (from the seed's file)
      ──▶ fixed times and modes: the same packages give the same tree

An Alpine tarball, or the user's own directory or tarball, also becomes a seed: with the directories
that a namespace needs, a shell, and no device nodes. The Alpine seed adds wheels and some Debian
packages, each kind in its own directory, and programs that start them.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from plan.compiling.toolchain import SOURCE_DATE_EPOCH
from plan.errors import BuildError
from plan.room import no_room
from plan.seeding.alpine import DEBIAN, AlpineSeed
from plan.seeding.debian import DebianSeed
from plan.seeding.path import no_shell
from rootfs.archives.deb import USR_MERGED, unpack_deb
from rootfs.archives.root import Root
from rootfs.archives.unpack import unpack
from rootfs.archives.wheel import unpack_wheel

# The sandbox mounts these directories.
_MOUNTED = ("dev", "proc", "sys")
_NEEDED_DIRECTORIES = (*_MOUNTED, "etc", "root", "run", "tmp", "usr/bin", "var/tmp")
_FOR_ALL = ("tmp", "var/tmp")
# The directory of an Alpine seed for wheels.
WHEELS = "usr/lib/wheels"
_MERGED = ("bin", "lib", "lib64", "sbin")


def make_seed(debs: Sequence[Path], into: Path, *, seed: DebianSeed) -> None:
    """Unpack Debian packages into a new tree, and make the files their scripts would make.

    debs: in the order to unpack; a later one wins. into: missing, or empty.
    Raises BuildError for a bad package, or a link of the seed whose target is missing.
    """
    _claim(into)
    _debian(debs, into, seed.exclude)
    for directory in (*_NEEDED_DIRECTORIES, *seed.directories):
        _directory(into, directory)
    for name, text in seed.files:
        _write(into, name, text, 0o644)
    for name, text in seed.programs:
        _write(into, name, text, 0o755)
    _link(into, seed.links)
    _check(into, where=os.fspath(into))
    _settle(into)


def make_alpine(
    root: Path,
    into: Path,
    *,
    seed: AlpineSeed,
    wheels: Sequence[Path] = (),
    debs: Sequence[Path] = (),
) -> None:
    """Make a new tree from a root file system, a directory or tarball, and the additions of `seed`.

    Absolute links stay unchanged: they are right inside the root. wheels, debs: those of the seed,
    in its order. Raises BuildError as `make_seed` and `make_from_path` do.
    """
    _claim(into)
    _put(root, into, _MOUNTED)
    for wheel, path in zip(seed.wheels, wheels, strict=True):
        unpack_wheel(path, _directory(into, WHEELS), name=wheel.file, exclude=wheel.exclude)
    if debs:
        _debian(debs, _directory(into, DEBIAN), seed.exclude)
    for name, text in seed.programs:
        _write(into, name, text, 0o755)
    _link(into, seed.links)
    _finish(into, where=os.fspath(root))


def make_from_path(path: Path, into: Path, *, exclude: Sequence[str] = ()) -> None:
    """Make a new tree from a directory or a tarball with a root file system.

    The contents of /dev, /proc, /sys and of the directories `exclude` are skipped. Raises
    BuildError if the path is missing, unreadable, or no root file system.
    """
    _claim(into)
    _put(path, into, (*_MOUNTED, *exclude))
    _finish(into, where=os.fspath(path))


def _put(path: Path, into: Path, empty: Sequence[str]) -> None:
    """Copy or unpack a root file system; the contents of the directories `empty` are skipped."""
    if path.is_dir():
        _copy(path, into, empty)
    elif path.is_file():
        # The sandbox makes the devices; an ordinary user cannot.
        unpack(path, into, exclude=tuple(f"{name}/*" for name in empty))
    else:
        raise BuildError(
            "is neither a directory nor a tarball",
            where=os.fspath(path),
            hint="seed= takes debian, alpine, self, or the path of a root file system",
        )


def inside(root: Path, path: str) -> Path | None:
    """Resolve `path` with `root` as `/`; None if it does not exist.

    No link leads out of `root`.
    """
    found = Root(root).find(path)
    return None if found is None else root / found


def _debian(debs: Sequence[Path], into: Path, exclude: Sequence[str]) -> None:
    """Unpack packages into the empty directory `into` as a usr-merged tree."""
    for name in _MERGED:
        _directory(into, f"usr/{name}")
        (into / name).symlink_to(os.fsdecode(USR_MERGED[name.encode()]))
    for deb in debs:
        unpack_deb(deb, into, exclude=exclude)


def _write(root: Path, name: str, text: str, mode: int) -> None:
    place = PurePosixPath(name)
    file = _directory(root, str(place.parent)) / place.name
    file.unlink(missing_ok=True)  # it may be a link
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)


def _link(root: Path, links: Sequence[tuple[str, str]]) -> None:
    """Make the links that no package has. Raises BuildError if a target is missing."""
    for name, target in links:
        place = PurePosixPath(name)
        link = _directory(root, str(place.parent)) / place.name
        if not os.path.lexists(link):
            link.symlink_to(target)
    missing = sorted({target for name, target in links if not inside(root, name)})
    if missing:
        raise BuildError(
            f"no package of the seed installs {', '.join(missing)}",
            hint="add a package that does, or remove the link",
        )


def _claim(into: Path) -> None:
    into.mkdir(parents=True, exist_ok=True)
    if any(into.iterdir()):
        raise BuildError(
            "a seed needs an empty directory, and this one is not empty", where=str(into)
        )
    into.chmod(0o755)


def _finish(into: Path, *, where: str) -> None:
    for directory in _NEEDED_DIRECTORIES:
        if inside(into, directory) is None:
            _directory(into, directory)
    _check(into, where=where)
    _settle(into)


def _check(root: Path, *, where: str) -> None:
    shell = inside(root, "bin/sh")
    if shell is None or not shell.is_file():
        raise no_shell(where)


def _directory(root: Path, path: str) -> Path:
    """Make the directory `path` of `root` and its parents; follow no link."""
    at = root
    for part in PurePosixPath(path).parts:
        at = at / part
        try:
            at.mkdir()
            at.chmod(0o755)
        except FileExistsError:
            if at.is_symlink() or not at.is_dir():
                shown = at.relative_to(root)
                raise BuildError(f"{shown} should be a directory", where=os.fspath(root)) from None
    return at


def _copy(tree: Path, into: Path, empty: Sequence[str]) -> None:
    """Copy a root file system without device nodes and without the contents of `empty`."""
    if into.resolve().is_relative_to(tree.resolve()):
        raise BuildError(
            "contains the work directory", where=os.fspath(tree), hint="set workdir= elsewhere"
        )
    left = {os.fspath(tree / name) for name in empty}

    def left_out(directory: str, names: list[str]) -> list[str]:
        if directory in left:
            return names
        return [name for name in names if not _can_be_copied(Path(directory, name).lstat().st_mode)]

    try:
        shutil.copytree(tree, into, symlinks=True, ignore=left_out, dirs_exist_ok=True)
    except (OSError, shutil.Error) as error:
        # copytree collects errors as (source, target, reason).
        first = error.args[0][0][2] if isinstance(error, shutil.Error) else str(error)
        number = re.match(r"\[Errno (\d+)\]", first)
        room = no_room(OSError(int(number[1]), ""), into) if number else None
        hint = room or "name a directory in which you can read every file, or a tarball of it"
        message = f"cannot be copied: {first}"
        raise BuildError(message, where=os.fspath(tree), hint=hint) from error


def _can_be_copied(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)


def _settle(root: Path) -> None:
    """Set the times of directories, which unpacking changed; clamp all other times."""
    for name in _FOR_ALL:
        directory = inside(root, name)
        if directory is not None:
            directory.chmod(0o1777)
    for above, directories, files in os.walk(root, topdown=False):
        for name in files:
            path = Path(above, name)
            if path.lstat().st_mtime > SOURCE_DATE_EPOCH:
                _stamp(path)
        for name in directories:
            _stamp(Path(above, name))
    _stamp(root)


def _stamp(path: Path) -> None:
    os.utime(path, (SOURCE_DATE_EPOCH,) * 2, follow_symlinks=False)
