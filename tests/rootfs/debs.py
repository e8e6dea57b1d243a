"""Makes small Debian packages for tests."""

from __future__ import annotations

import io
import lzma
import tarfile
from collections.abc import Mapping
from pathlib import Path

WHEN = 1_600_000_000


def tar_of(files: Mapping[str, str | bytes]) -> bytes:
    """A tar archive. Values: bytes = file content, text = link target; names/ are directories."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.mtime = WHEN
            info.mode = 0o755
            if name.endswith("/"):
                info.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
            else:
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content if isinstance(content, bytes) else b""))
    return buffer.getvalue()


def ar_of(members: Mapping[str, bytes]) -> bytes:
    """An ar archive, ar(5)."""
    parts = [b"!<arch>\n"]
    for name, data in members.items():
        parts.append(f"{name:<16}{WHEN:<12}{0:<6}{0:<6}{0o100644:<8o}{len(data):<10}`\n".encode())
        parts.append(data + b"\n" * (len(data) % 2))
    return b"".join(parts)


def deb_of(path: Path, files: Mapping[str, str | bytes], *, data: str = "data.tar.xz") -> Path:
    """A .deb at `path` whose maintainer script would leave a trace if it ever ran."""
    trace = path.with_suffix(".ran")
    control = tar_of({"./postinst": f"#!/bin/sh\ntouch {trace}\n".encode()})
    packed = tar_of(files)
    members = {
        "debian-binary": b"2.0\n",
        "control.tar.xz": lzma.compress(control),
        data: lzma.compress(packed) if data.endswith("xz") else packed,
    }
    path.write_bytes(ar_of(members))
    return path
