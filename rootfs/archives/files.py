"""Small file operations that work on any files of a build and survive a power cut."""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from plan.compiling.toolchain import SOURCE_DATE_EPOCH
from plan.outputs import unfinished

_FETCHED = 0o444  # the mode that cache/partial.py gives a file


def remove_tree(path: Path) -> None:
    """Remove `path` and all below it, also directories without permissions. It may be missing."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    import shutil

    try:
        shutil.rmtree(path)
    except PermissionError:
        make_enterable(path)
        shutil.rmtree(path)


def make_enterable(tree: Path) -> None:
    """Give the owner all permissions on the directory `tree` and all directories below it."""
    tree.chmod(stat.S_IMODE(tree.stat().st_mode) | stat.S_IRWXU)
    for directory, names, _ in os.walk(tree):
        for name in names:
            status = os.lstat(inner := os.path.join(directory, name))
            if stat.S_ISDIR(status.st_mode):
                os.chmod(inner, stat.S_IMODE(status.st_mode) | stat.S_IRWXU)


def file_sha256(path: Path) -> str:
    """The sha256 of the content of the file `path`, in hexadecimal. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def last_bytes(path: Path, size: int) -> bytes:
    """The last `size` bytes of the file at `path`, or all of a shorter one. Raises OSError."""
    with path.open("rb") as file:
        file.seek(-min(size, os.fstat(file.fileno()).st_size), os.SEEK_END)
        return file.read()


def fresh_directory(path: Path) -> Path:
    """Replace `path` with an empty directory of mode 755, without ACLs and setgid bit.

    The umask does not affect the mode. Files made in it get no group or ACL from it: with a default
    ACL the kernel ignores the umask (acl(5), inode(7)).
    """
    remove_tree(path)
    path.mkdir(parents=True)
    for name in ("system.posix_acl_default", "system.posix_acl_access"):
        _remove_attribute(path, name)
    if path.stat().st_gid != os.getegid():
        os.chown(path, -1, os.getegid())
    path.chmod(0o755)  # last: it also clears the setgid bit
    return path


def is_own(status: os.stat_result) -> bool:
    """Whether this process's user and group own a file: in a sandbox other owners are "nobody"."""
    return (status.st_uid, status.st_gid) == (os.geteuid(), os.getegid())


def as_fetched(path: Path, copy: Path) -> Path:
    """Return `path` if a sandbox may see it as it is, else make `copy` of it and return that.

    A sandbox may see a file that belongs to this user, has the mode of a download, and is not older
    than SOURCE_DATE_EPOCH (packing replaces every later time with that one).
    """
    import shutil

    status = path.stat()
    late = status.st_mtime >= SOURCE_DATE_EPOCH
    if late and is_own(status) and stat.S_IMODE(status.st_mode) == _FETCHED:
        return path
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, copy)
    copy.chmod(_FETCHED)
    return copy


def _remove_attribute(path: Path, name: str) -> None:
    try:
        os.removexattr(path, name)
    except OSError as error:
        if error.errno not in (errno.ENODATA, errno.ENOTSUP):
            raise


@contextmanager
def being_made(path: Path) -> Iterator[Path]:
    """An empty directory beside `path`, to fill and rename to `path`.

    If it is not renamed, it is removed: otherwise a full disk would stay full.
    """
    part = fresh_directory(unfinished(path))
    try:
        yield part
    finally:
        remove_tree(part)


def remove_unfinished(path: Path) -> None:
    """Remove the unfinished files for `path` that killed processes left beside it."""
    for left in path.parent.glob(f".[0-9]*.{glob.escape(path.name)}"):
        if not os.path.exists(f"/proc/{left.name.split('.')[1]}"):
            remove_tree(left)
