"""Makes wheels for tests."""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path


def wheel_of(path: Path, members: Mapping[str, bytes], *, executable: Collection[str] = ()) -> Path:
    """A wheel at `path` with these members."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = (0o100755 if name in executable else 0o100644) << 16
            file.writestr(member, content)
    return path
