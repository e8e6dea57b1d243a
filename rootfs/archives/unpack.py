"""Unpacks untrusted tar archives.

Nothing outside `into` is made, changed or followed. It uses its own checks, not the filters of
`tarfile`, which were bypassed more than once:

    member --> name: relative, no "..", no newline --> strip, excluded?
           --> every directory above it is a real directory, checked once, never a link
           --> O_EXCL | O_NOFOLLOW, after removing a file of the same name

Symbolic links may point anywhere (those of a root file system are relative to its own root):
unpacking follows none. A hard link must name a file inside `into`. Devices, fifos and sparse files
are refused. Setuid and setgid bits are dropped, owners ignored, times kept. Of members with the
same name the last wins. No root privilege is needed.
"""

# ruff: noqa: PTH101, PTH102, PTH108, PTH211
# Names are bytes here, because they need not be UTF-8; `pathlib` holds text only.

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from plan.compiling.toolchain import SOURCE_DATE_EPOCH
from plan.errors import BuildError
from plan.room import no_room
from rootfs.archives.decompress import Damaged, Readable
from rootfs.archives.globs import compiled
from rootfs.archives.tar_stream import BLOCK, Member, Stream, members

_LATEST = 1 << 33  # seconds; some file systems store no later time
LIMIT = 64 << 30
_PATH_MAX = 4096  # limits.h of Linux
_DEEPEST = 200  # directories; memory grows with the square, and normal trees have about 20
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def unpack(
    archive: Path,
    into: Path,
    *,
    strip: int = 0,
    exclude: Sequence[str] = (),
    keep_setuid: bool = False,
    limit: int = LIMIT,
) -> int:
    """Unpack a tar archive (plain, gzip, bzip2, xz; zstd from Python 3.14 on) into a directory.

    into: made if missing; may already have files.
    strip: number of leading directories to drop from each name ("." does not count).
    exclude: globs of members to skip, for the stripped name (rootfs/archives/globs.py).
    keep_setuid: keep the setuid and setgid bits of files instead of dropping them.
    limit: the most bytes that the archive may decompress to.
    Returns the number of unpacked members. Raises BuildError; files unpacked before it stay.
    """
    try:
        with archive.open("rb") as raw:
            return unpack_stream(
                raw,
                into,
                name=os.fspath(archive),
                strip=strip,
                exclude=exclude,
                keep_setuid=keep_setuid,
                limit=limit,
            )
    except OSError as error:
        raise BuildError(f"cannot be read: {error.strerror}", where=os.fspath(archive)) from error


def unpack_stream(
    raw: Readable,
    into: Path,
    *,
    name: str,
    strip: int = 0,
    exclude: Sequence[str] = (),
    keep_setuid: bool = False,
    limit: int = LIMIT,
    moved: Mapping[bytes, bytes] | None = None,
) -> int:
    """As `unpack`, from an open file. name: of the archive, for messages.

    moved: new paths for top directories (`{b"lib": b"usr/lib"}`): members in them are written
    there. In a usr-merged root `/lib` is a link, and unpacking follows no link.
    """
    into.mkdir(parents=True, exist_ok=True)
    writer = _Writer(os.fsencode(into), strip, exclude, keep_setuid, moved or {})
    with Stream(raw, limit) as stream:
        member: Member | None = None
        try:
            for member in members(stream):
                writer.add(member, stream)
                stream.skip(-member.size % BLOCK)
            writer.finish()
        except Damaged as error:
            raise BuildError(
                f"cannot be unpacked: {error}",
                where=name,
                hint=error.hint,
            ) from error
        except _RefusedError as error:
            raise _refusal(name, member, str(error)) from error
        except OSError as error:
            raise _failed(name, into, member, error) from error
    return writer.count


class _RefusedError(Exception):
    """The member must not be unpacked; the message says why."""


def _refusal(archive: str, member: Member | None, why: str) -> BuildError:
    shown = os.fsdecode(member.name) if member else ""
    return BuildError(
        f"refused to unpack {shown!r}: {why}",
        where=archive,
        hint="if you trust the archive and do not need the member, add it to `exclude`",
    )


def _failed(archive: str, into: Path, member: Member | None, error: OSError) -> BuildError:
    shown = os.fsdecode(member.name) if member else ""
    hint = no_room(error, Path(into)) or f"check the permissions of {into}"
    return BuildError(f"{error.strerror} while unpacking {shown!r}", where=archive, hint=hint)


class _Writer:
    """Writes members below one directory; remembers which paths it knows are real directories."""

    def __init__(
        self,
        into: bytes,
        strip: int,
        exclude: Sequence[str],
        keep_setuid: bool,
        moved: Mapping[bytes, bytes],
    ) -> None:
        self.count = 0
        self._into = into + b"/"
        self._strip = strip
        self._leave = compiled(exclude)
        self._file_bits = 0o6777 if keep_setuid else 0o777
        self._moved = moved
        self._real: set[bytes] = {b""}
        self._directories: dict[bytes, tuple[int, int]] = {}  # path -> mode, mtime: set at the end

    def add(self, member: Member, stream: Stream) -> None:
        path = self._place(member.name, is_directory=member.kind == b"5")
        if not path or (self._leave and self._leave.match(path)):
            stream.skip(member.size)
            return
        if member.size > stream.left():
            raise _RefusedError("the unpacked files are larger than the limit")
        if member.kind == b"5":
            self._directory(path)
            self._directories[path] = (member.mode & 0o1777 | 0o700, _time(member))
        else:
            self._directory(path.rpartition(b"/")[0])
            self._make(member, path, stream)
        self.count += 1

    def _place(self, name: bytes, *, is_directory: bool) -> bytes:
        """The path of a member relative to `into`; empty if stripping leaves nothing."""
        if name.startswith(b"/"):
            raise _RefusedError("its name is absolute")
        if b"\n" in name or b"\0" in name:
            raise _RefusedError("its name has a newline or a NUL")
        if len(name) >= _PATH_MAX:
            raise _RefusedError("its name is too long")
        parts = [part for part in name.split(b"/") if part and part != b"."]
        if len(parts) > _DEEPEST:
            raise _RefusedError("its name has too many directories")
        if b".." in parts:
            raise _RefusedError('its name has ".."')
        del parts[: self._strip]
        if self._moved and parts and (len(parts) > 1 or is_directory):
            parts[0] = self._moved.get(parts[0], parts[0])
        return b"/".join(parts)

    def _directory(self, path: bytes) -> None:
        """Make sure that `path` and all above it are real directories."""
        unseen = []
        while path not in self._real:
            unseen.append(path)
            path = path.rpartition(b"/")[0]
        for path in reversed(unseen):
            try:
                os.mkdir(self._into + path)
                self._directories[path] = (0o755, SOURCE_DATE_EPOCH)  # no member has named it yet
            except FileExistsError:
                if not stat.S_ISDIR(os.lstat(self._into + path).st_mode):
                    shown = os.fsdecode(path)
                    raise _RefusedError(f"{shown!r} is a file or link, not a directory") from None
            self._real.add(path)

    def _make(self, member: Member, path: bytes, stream: Stream) -> None:
        full = self._into + path
        if path in self._real:
            raise _RefusedError("an earlier member made it a directory")
        if member.kind == b"0":
            self._file(member, full, stream)
        elif member.kind == b"2":
            if not member.link or b"\0" in member.link:
                raise _RefusedError("it is a link to nothing")
            _replacing(full, lambda: os.symlink(member.link, full))
            os.utime(full, (_time(member),) * 2, follow_symlinks=False)
        elif member.kind == b"1":
            self._hard_link(member, path)
        elif member.kind in b"346":
            raise _RefusedError("it is a device or a fifo")
        else:
            raise _RefusedError(f"it has the unknown kind {os.fsdecode(member.kind)!r}")

    def _file(self, member: Member, full: bytes, stream: Stream) -> None:
        try:
            handle = os.open(full, _NEW_FILE, 0o600)
        except FileExistsError:
            os.unlink(full)
            handle = os.open(full, _NEW_FILE, 0o600)
        try:
            for piece in stream.pieces(member.size):
                while piece:
                    piece = piece[os.write(handle, piece) :]
            os.fchmod(handle, member.mode & self._file_bits | 0o400)
            os.utime(handle, (_time(member),) * 2)
        finally:
            os.close(handle)

    def _hard_link(self, member: Member, path: bytes) -> None:
        target = self._place(member.link, is_directory=False)
        if not target or target == path:
            raise _RefusedError("it is a hard link to nothing")
        above = target.rpartition(b"/")[0]
        if above not in self._real and not self._is_real(above):
            raise _RefusedError("it is a hard link through a symbolic link, or to nothing")
        source, full = self._into + target, self._into + path
        try:
            kind = os.lstat(source).st_mode
        except FileNotFoundError:
            shown = os.fsdecode(target)
            raise _RefusedError(f"it is a hard link to {shown!r}, which is missing") from None
        if not (stat.S_ISREG(kind) or stat.S_ISLNK(kind)):
            raise _RefusedError("it is a hard link to something that is not a file")
        _replacing(full, lambda: os.link(source, full, follow_symlinks=False))

    def _is_real(self, path: bytes) -> bool:
        """Whether `path` and all its parents are real directories, no links; makes nothing."""
        while path and path not in self._real:
            try:
                if not stat.S_ISDIR(os.lstat(self._into + path).st_mode):
                    return False
            except OSError:
                return False
            path = path.rpartition(b"/")[0]
        return True

    def finish(self) -> None:
        """Set the modes and times of directories last: writing into them changes the times."""
        for path, (mode, mtime) in self._directories.items():
            os.chmod(self._into + path, mode)
            os.utime(self._into + path, (mtime, mtime))


def _time(member: Member) -> int:
    return min(max(member.mtime, 0), _LATEST)


def _replacing(full: bytes, make: Callable[[], None]) -> None:
    """Call `make`, which makes `full`; an existing file of that name is removed first."""
    try:
        make()
    except FileExistsError:
        os.unlink(full)
        make()
