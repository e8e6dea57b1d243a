"""Makes the seed's tree: the first root that a build can run in.

    .debs in their order ──▶ usr-merged tree, nothing of the packages ever run
      ──▶ what maintainer scripts would have made: folders, files, links of the authored seed
      ──▶ every time and mode fixed, so that the same packages give the same tree

Alpine's tarball, and a folder or tarball of the user's, become a root in the same sense: with
the folders that a namespace needs, a shell, and no device of its own. Over Alpine's lie wheels
and some of Debian's packages, each kind in a folder of its own, and programs that start them.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from plan.alpineseed import AlpineSeed
from plan.debianseed import DebianSeed
from plan.errors import BuildError
from plan.room import no_room
from plan.toolchain import SOURCE_DATE_EPOCH
from rootfs.archive import unpack
from rootfs.deb import USR_MERGED, unpack_deb
from rootfs.wheel import unpack_wheel

# What is mounted over, or filled, by whoever enters the root.
_MOUNTED = ("dev", "proc", "sys")
_NEEDED_FOLDERS = (*_MOUNTED, "etc", "root", "run", "tmp", "usr/bin", "var/tmp")
_FOR_ALL = ("tmp", "var/tmp")
# Of an Alpine seed, where what is laid over Alpine's own files lies.
WHEELS = "usr/lib/wheels"
DEBIAN = "usr/lib/debian"
_MERGED = ("bin", "lib", "lib64", "sbin")
_MOST_LINKS = 40  # as many as the kernel follows, path_resolution(7)


def make_seed(debs: Sequence[Path], into: Path, *, seed: DebianSeed) -> None:
    """Unpack Debian packages into a new tree, and make what their scripts would have made.

    debs: in the order in which they are unpacked; a later one wins. into: missing, or empty.
    Raises BuildError: a bad package, or a link of the seed whose target no package brings.
    """
    _claim(into)
    _debian(debs, into, seed.leave)
    for folder in (*_NEEDED_FOLDERS, *seed.folders):
        _folder(into, folder)
    for name, text in seed.files:
        _write(into, name, text, 0o644)
    _link(into, seed.links)
    _check(into, where=os.fspath(into))
    _settle(into)


def make_alpine(
    tarball: Path,
    into: Path,
    *,
    seed: AlpineSeed,
    wheels: Sequence[Path] = (),
    debs: Sequence[Path] = (),
) -> None:
    """Unpack Alpine's minimal root file system, and what `seed` lays over it, into a new tree.

    Its absolute links stay as they are: they are right for whoever enters the root. wheels, debs:
    those of the seed, in its order. Raises BuildError as `make_seed` does.
    """
    _claim(into)
    # Devices come from whoever enters the root; an ordinary user could not make them.
    unpack(tarball, into, leave=("dev/*",))
    for wheel, path in zip(seed.wheels, wheels, strict=True):
        unpack_wheel(path, _folder(into, WHEELS), name=wheel.file, leave=wheel.leave)
    if debs:
        _debian(debs, _folder(into, DEBIAN), seed.leave)
    for name, text in seed.programs:
        _write(into, name, text, 0o755)
    _link(into, seed.links)
    _finish(into, where=os.fspath(tarball))


def make_from_path(path: Path, into: Path, *, leave: Sequence[str] = ()) -> None:
    """Make a new tree from a folder or a tarball that holds a root file system.

    What is in its /dev, /proc, /sys and the folders `leave` is left out. Raises BuildError: not
    there, unreadable, no root file system.
    """
    _claim(into)
    where, empty = os.fspath(path), (*_MOUNTED, *leave)
    if path.is_dir():
        _copy(path, into, empty)
    elif path.is_file():
        unpack(path, into, leave=tuple(f"{name}/*" for name in empty))
    else:
        raise BuildError(
            "is neither a folder nor a tarball",
            where=where,
            hint="seed= takes debian, alpine, self, or the path of a root file system",
        )
    _finish(into, where=where)


def inside(root: Path, path: str) -> Path | None:
    """Where `path` leads for someone whose `/` is `root`; None if nowhere.

    No link is ever followed out of `root`: each step is taken by hand.
    """
    todo = [part for part in reversed(path.split("/")) if part]
    at: list[str] = []
    links = 0
    while todo:
        part = todo.pop()
        if part == ".":
            continue
        if part == "..":
            at = at[:-1]
            continue
        here = root.joinpath(*at, part)
        try:
            status = here.lstat()
        except OSError:
            return None
        if not stat.S_ISLNK(status.st_mode):
            at.append(part)
            continue
        links += 1
        if links > _MOST_LINKS:
            return None
        target = str(here.readlink())
        if target.startswith("/"):
            at = []
        todo += [part for part in reversed(target.split("/")) if part]
    return root.joinpath(*at)


def _debian(debs: Sequence[Path], into: Path, leave: Sequence[str]) -> None:
    """Unpack packages into the empty folder `into`, a usr-merged tree."""
    for name in _MERGED:
        _folder(into, f"usr/{name}")
        (into / name).symlink_to(os.fsdecode(USR_MERGED[name.encode()]))
    for deb in debs:
        unpack_deb(deb, into, leave=leave)


def _write(root: Path, name: str, text: str, mode: int) -> None:
    place = PurePosixPath(name)
    file = _folder(root, str(place.parent)) / place.name
    file.unlink(missing_ok=True)  # it might be a link
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)


def _link(root: Path, links: Sequence[tuple[str, str]]) -> None:
    """Make the links that no package brings. Raises BuildError if one leads nowhere."""
    for name, target in links:
        place = PurePosixPath(name)
        link = _folder(root, str(place.parent)) / place.name
        if not os.path.lexists(link):
            link.symlink_to(target)
    missing = sorted({target for name, target in links if not inside(root, name)})
    if missing:
        raise BuildError(
            f"nothing in the seed brings {', '.join(missing)}",
            hint="name a package that does, or take the link away",
        )


def _claim(into: Path) -> None:
    into.mkdir(parents=True, exist_ok=True)
    if any(into.iterdir()):
        raise BuildError("a seed is made in an empty folder, and this one is not", where=str(into))
    into.chmod(0o755)


def _finish(into: Path, *, where: str) -> None:
    for folder in _NEEDED_FOLDERS:
        if inside(into, folder) is None:
            _folder(into, folder)
    _check(into, where=where)
    _settle(into)


def _check(root: Path, *, where: str) -> None:
    shell = inside(root, "bin/sh")
    if shell is None or not shell.is_file():
        raise BuildError(
            "holds no /bin/sh: no root file system that a build can run in",
            where=where,
            hint="a tarball must hold bin, etc, usr... at its top, not in a folder",
        )


def _folder(root: Path, path: str) -> Path:
    """Make the folder `path` of `root` and those above it, through no link."""
    at = root
    for part in PurePosixPath(path).parts:
        at = at / part
        try:
            at.mkdir()
            at.chmod(0o755)
        except FileExistsError:
            if at.is_symlink() or not at.is_dir():
                shown = at.relative_to(root)
                raise BuildError(f"{shown} should be a folder", where=os.fspath(root)) from None
    return at


def _copy(tree: Path, into: Path, empty: Sequence[str]) -> None:
    """Copy a root file system, less what no ordinary user can make, and what is in `empty`."""
    if into.resolve().is_relative_to(tree.resolve()):
        raise BuildError("holds the work directory", where=os.fspath(tree), hint="move workdir=")
    left = {os.fspath(tree / name) for name in empty}

    def left_out(folder: str, names: list[str]) -> list[str]:
        if folder in left:
            return names
        return [name for name in names if not _can_be_copied(Path(folder, name).lstat().st_mode)]

    try:
        shutil.copytree(tree, into, symlinks=True, ignore=left_out, dirs_exist_ok=True)
    except (OSError, shutil.Error) as error:
        # copytree gathers what failed as (from, to, why).
        first = error.args[0][0][2] if isinstance(error, shutil.Error) else str(error)
        number = re.match(r"\[Errno (\d+)\]", first)
        room = no_room(OSError(int(number[1]), ""), into) if number else None
        hint = room or "give a folder that you may read all of, or a tarball of it"
        message = f"cannot be copied: {first}"
        raise BuildError(message, where=os.fspath(tree), hint=hint) from error


def _can_be_copied(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)


def _settle(root: Path) -> None:
    """Fix the times of folders, which unpacking changed; clamp those of everything else."""
    for name in _FOR_ALL:
        folder = inside(root, name)
        if folder is not None:
            folder.chmod(0o1777)
    for above, folders, files in os.walk(root, topdown=False):
        for name in files:
            path = Path(above, name)
            if path.lstat().st_mtime > SOURCE_DATE_EPOCH:
                _stamp(path)
        for name in folders:
            _stamp(Path(above, name))
    _stamp(root)


def _stamp(path: Path) -> None:
    os.utime(path, (SOURCE_DATE_EPOCH,) * 2, follow_symlinks=False)
