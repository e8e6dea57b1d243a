"""Makes small tar archives with Python's tarfile, member by member, also hostile ones."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

WHEN = 1_600_000_000
Entry = tuple[str, bytes, Any]


def entry(name: str, kind: bytes = tarfile.REGTYPE, data: bytes = b"", **fields: Any) -> Entry:
    """A member to write: name, data, and the fields of its TarInfo."""
    return name, data, {"type": kind, "mode": 0o644, "mtime": WHEN, **fields}


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> Entry:
    return entry(name, kind, linkname=target)


def directory(name: str) -> Entry:
    return entry(name, tarfile.DIRTYPE, mode=0o755)


def tar_bytes(*entries: Entry, form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for name, data, fields in entries:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for field, value in fields.items():
                setattr(info, field, value)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def archive_of(tmp_path: Path, *entries: Entry) -> Path:
    path = tmp_path / "hostile.tar"
    path.write_bytes(tar_bytes(*entries))
    return path
