"""rootfs/archives/source.py: by its name, a source is a tarball or a wheel."""

from __future__ import annotations

from pathlib import Path

import pytest

from plan.errors import BuildError
from plan.model import Source
from rootfs.archives.source import unpack_source
from tests.rootfs.wheels import wheel_of


def test_a_wheel_has_no_top_directory(tmp_path: Path) -> None:
    wheel = wheel_of(tmp_path / "blob", {"a/b": b"x", "left/c": b"y"})
    source = Source("0" * 64, 1, "a-1-py3-none-any.whl", (), ("left/*",))
    unpack_source(wheel, source, tmp_path / "into")
    files = [path for path in (tmp_path / "into").rglob("*") if path.is_file()]
    assert [(path.name, path.read_bytes()) for path in files] == [("b", b"x")]
    assert files[0].stat().st_mtime == 1735689600  # SOURCE_DATE_EPOCH
    with pytest.raises(BuildError):
        unpack_source(wheel, Source("0" * 64, 1, "a.tar", ()), tmp_path / "other")
