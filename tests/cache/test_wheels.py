"""cache/wheels.py: pip's arguments, and pip with a directory of wheels as its index."""

from __future__ import annotations

import hashlib
import threading
import zipfile
from pathlib import Path

import pytest

from cache.download import Stopped
from cache.partial import locked
from cache.places import UrlFailed
from cache.wheels import download, tags

FILE = "bq2_nothing-1.5-cp313-cp313-musllinux_1_2_aarch64.whl"


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("doit-0.37.0-py3-none-any.whl", ["--platform=any"]),
        ("six-1.0-py2.py3-none-any.whl", ["--platform=any"]),
        (
            "ziglang-0.17.1-py3-none-manylinux_2_12_x86_64.manylinux2010_x86_64.whl",
            ["--platform=manylinux_2_12_x86_64", "--platform=manylinux2010_x86_64"],
        ),
        (
            "a-1-7-cp39-abi3-musllinux_1_2_aarch64.whl",
            [
                "--platform=musllinux_1_2_aarch64",
                "--implementation=cp",
                "--python-version=3.9",
                "--abi=abi3",
            ],
        ),
    ],
)
def test_the_name_of_a_wheel_chooses_it(file: str, expected: list[str]) -> None:
    assert tags(file) == expected


@pytest.mark.parametrize("file", ["doit-0.37.0.tar.gz", "doit.whl", "a-b-c-d-e-f-g.whl", ""])
def test_other_names_are_no_wheels(file: str) -> None:
    with pytest.raises(UrlFailed, match="is not the name of a wheel"):
        tags(file)


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A wheel for another machine and Python than this one, where pip finds it."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    with zipfile.ZipFile(shelf / FILE, "w") as archive:
        name = "bq2_nothing-1.5.dist-info"
        archive.writestr(
            f"{name}/METADATA", "Metadata-Version: 2.1\nName: bq2-nothing\nVersion: 1.5\n"
        )
        archive.writestr(f"{name}/WHEEL", "Wheel-Version: 1.0\n")
        archive.writestr(f"{name}/RECORD", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    return (shelf / FILE).read_bytes()


def fetch(
    path: Path, sha256: str, size: int, requirement: str, *, stop: threading.Event | None = None
) -> bytes:
    def never() -> None:
        raise AssertionError("the file should have been free")

    with locked(path, sha256, size, count=lambda size: None, wait=never) as partial:
        download(requirement, FILE, partial, stop=stop or threading.Event())
        assert partial.complete()
    return path.read_bytes()


@pytest.mark.parametrize("name", ["cache", "caf\udce9"])
def test_pip_brings_the_wheel_with_our_hash(tmp_path: Path, wheel: bytes, name: str) -> None:
    directory = tmp_path / name
    (directory / "x.pip").mkdir(parents=True)
    (directory / "x").write_bytes(b"left over")
    (directory / "x.pip/other-1-py3-none-any.whl").write_bytes(b"of a killed run")
    sha256 = hashlib.sha256(wheel).hexdigest()
    assert fetch(directory / "x", sha256, len(wheel), "bq2-nothing==1.5") == wheel
    assert fetch(directory / "y", sha256, 0, "bq2-nothing==1.5") == wheel, "of unknown size"
    assert not (directory / "x.pip").exists()


@pytest.mark.parametrize(
    ("requirement", "sha256", "reason"),
    [
        ("bq2-nothing==1.5", "0" * 64, "pip: another file: its sha256 is "),
        ("bq2-nothing==1.6", None, "pip: No matching distribution found for bq2-nothing==1.6"),
    ],
)
def test_pip_says_why_not(
    tmp_path: Path, wheel: bytes, requirement: str, sha256: str | None, reason: str
) -> None:
    wanted = sha256 or hashlib.sha256(wheel).hexdigest()
    with pytest.raises(UrlFailed) as caught:
        fetch(tmp_path / "x", wanted, len(wheel), requirement)
    assert caught.value.reason.startswith(reason)
    assert [entry.name for entry in tmp_path.iterdir()] == ["shelf"]


def test_a_wrong_size_is_a_wrong_wheel(tmp_path: Path, wheel: bytes) -> None:
    with pytest.raises(UrlFailed, match="another file"):
        fetch(tmp_path / "x", hashlib.sha256(wheel).hexdigest(), 10, "bq2-nothing==1.5")
    assert not (tmp_path / "x").exists()


def test_stopping_kills_pip(tmp_path: Path, wheel: bytes) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        fetch(tmp_path / "x", "0" * 64, len(wheel), "bq2-nothing==1.5", stop=stop)
    assert [entry.name for entry in tmp_path.iterdir()] == ["shelf"]
