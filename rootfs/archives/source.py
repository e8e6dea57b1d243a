"""Unpacks a source: a tarball without its top directory, or a wheel, which has none."""

from __future__ import annotations

from pathlib import Path

from plan.model import Source


def unpack_source(path: Path, source: Source, into: Path) -> None:
    """Unpack `source`, whose file is at `path`, into the new directory `into`, without `exclude`.

    Raises BuildError if it is damaged, or leads out of the directory.
    """
    if source.file.endswith(".whl"):
        from rootfs.archives.pack import stamp_times
        from rootfs.archives.wheel import unpack_wheel

        unpack_wheel(path, into, name=source.file, exclude=source.exclude)
        stamp_times(into)
    else:
        from rootfs.archives.unpack import unpack

        unpack(path, into, strip=1, exclude=source.exclude)
