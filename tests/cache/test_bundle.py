"""cache/bundle.py: only right files of a damaged bundle reach the cache."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from cache import paths
from cache.bundle import Bundle
from plan.errors import BuildError
from plan.model import Source

FILES = {f"file-{number}": bytes([number]) * (300 + 700 * number) for number in range(4)}
SOURCES = [
    Source(hashlib.sha256(data).hexdigest(), len(data), name, ()) for name, data in FILES.items()
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A bundle of FILES."""
    plan = json.dumps({"set": "base", "arch": "x86_64"}).encode()
    members = {"plan.json": plan} | {
        f"sources/{source.sha256}": FILES[source.file] for source in SOURCES
    }
    path = tmp_path / "some.bundle.tar"
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    with path.open("r+b") as file:  # tarfile fills up to 10 KiB, our own writer does not
        file.truncate(_end(path) + 1024)
    return path


def _end(path: Path) -> int:
    with tarfile.open(path) as tar:
        last = tar.getmembers()[-1]
    return last.offset_data + last.size + -last.size % 512


def refused(path: Path) -> str:
    with pytest.raises(BuildError) as caught:
        Bundle(path).take(SOURCES)
    for source in SOURCES:
        kept = paths.source(source.sha256)
        assert not kept.exists() or kept.read_bytes() == FILES[source.file]
        assert kept.exists() != (source.file in str(caught.value))
    assert not list((paths.root() / "sources" / "partial").iterdir())
    return str(caught.value)


def test_all_is_taken_once(path: Path) -> None:
    Bundle(path).take([*SOURCES, *SOURCES])
    for source in SOURCES:
        assert paths.source(source.sha256).read_bytes() == FILES[source.file]
    path.unlink()
    Bundle(path).take(SOURCES)  # nothing is wanted of it


@pytest.mark.parametrize("gone", [1185, 1535, 2500, 3584, 3700, 4096, 6000])
def test_a_bundle_that_is_cut_off(path: Path, gone: int) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(size - gone)
    said = refused(path)
    assert f"{path}: " in said and ": missing" in said
    assert "cut off: copy it again" in said


def test_a_bundle_without_its_end_mark_gives_all(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(_end(path))
    Bundle(path).take(SOURCES)


@pytest.mark.parametrize("number", range(4))
def test_a_damaged_file_is_named_and_the_others_are_taken(path: Path, number: int) -> None:
    with tarfile.open(path) as tar:
        at = tar.getmember(f"sources/{SOURCES[number].sha256}").offset_data
    with path.open("r+b") as file:
        file.seek(at + 5)
        file.write(b"!")
    said = refused(path)
    assert f"file-{number} " in said and ": damaged" in said
    assert "1 files of the bundle" in said


def test_a_damaged_header_hides_what_comes_after_it(path: Path) -> None:
    with tarfile.open(path) as tar:
        at = tar.getmember(f"sources/{SOURCES[2].sha256}").offset
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"!")
    assert "2 files of the bundle" in refused(path)


def test_a_file_that_it_never_had(path: Path) -> None:
    Bundle(path).take(SOURCES)
    other = Source("0" * 64, 1, "other-1.tar", ())
    with pytest.raises(BuildError) as caught:
        Bundle(path).take([*SOURCES, other])
    assert "other-1.tar" in str(caught.value) and "set=base arch=x86_64" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"text" * 1000, bytes(10240)])
def test_no_bundle(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(BuildError, match="is not a bundle of this project"):
        Bundle(path).take(SOURCES)


def test_a_bundle_that_is_gone(path: Path) -> None:
    path.unlink()
    with pytest.raises(BuildError, match="No such file"):
        Bundle(path).take(SOURCES)
