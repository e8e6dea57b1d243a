"""rootfs.archives.wheel: which members are unpacked, and which are refused."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from plan.errors import BuildError
from rootfs.archives.licenses import license_texts
from rootfs.archives.wheel import unpack_wheel
from tests.rootfs.wheels import wheel_of


@pytest.mark.fault("a wheel with `..` or an absolute name", "it is refused, nothing is written")
@pytest.mark.parametrize("name", ["../out", "/out", "a/../../out"])
def test_no_member_leads_out(name: str, tmp_path: Path) -> None:
    into = tmp_path / "into"
    into.mkdir()
    wheel = wheel_of(tmp_path / "w.whl", {name: b"x"})
    with pytest.raises(BuildError, match="leads out of the directory"):
        unpack_wheel(wheel, into, name="w.whl")
    assert not list(into.iterdir()) and not (tmp_path / "out").exists()


@pytest.mark.fault("a wheel is unpacked into a root that has a link in its place", "refused")
def test_no_link_is_followed(tmp_path: Path) -> None:
    wheel = wheel_of(tmp_path / "w.whl", {"b/c": b"y", "a/b/c": b"x"})
    into, outside = tmp_path / "into", tmp_path / "outside"
    into.mkdir()
    outside.mkdir()
    (into / "a").symlink_to(outside)
    with pytest.raises(BuildError, match="'a/b/c' leads through a link"):
        unpack_wheel(wheel, into, name="w.whl")
    assert (into / "b" / "c").exists() and not any(outside.iterdir())


@pytest.mark.fault("a damaged wheel", "one error that names the file")
@pytest.mark.parametrize("keep", [0, 30, 100])
def test_a_damaged_wheel_is_told(keep: int, tmp_path: Path) -> None:
    wheel = wheel_of(tmp_path / "w.whl", {"a": b"x" * 1000})
    wheel.write_bytes(wheel.read_bytes()[:keep])
    with pytest.raises(BuildError, match="not a valid wheel") as caught:
        unpack_wheel(wheel, tmp_path / "into", name="w.whl")
    assert caught.value.where == "w.whl"


@pytest.mark.fault("a wheel that is encrypted, or packed in an unknown way", "one error")
@pytest.mark.parametrize(("at", "value"), [(6, 1), (8, 99)])
def test_a_wheel_that_cannot_be_read(at: int, value: int, tmp_path: Path) -> None:
    wheel = wheel_of(tmp_path / "w.whl", {"a-1.dist-info/LICENSE": b"x" * 1000})
    content = bytearray(wheel.read_bytes())
    # The flags, and the method (APPNOTE.TXT, 4.3.7 and 4.3.12): here, and in the directory.
    content[at] = content[content.rfind(b"PK\1\2") + at + 2] = value
    wheel.write_bytes(content)
    with pytest.raises(BuildError, match="not a valid wheel"):
        unpack_wheel(wheel, tmp_path / "into", name="w.whl")
    with pytest.raises(BuildError, match="its licenses cannot be read"):
        license_texts(wheel, "w.whl")


@pytest.mark.fault("a wheel with changed bytes inside", "one error that names the file")
def test_the_checksum_of_a_member_counts(tmp_path: Path) -> None:
    wheel = wheel_of(tmp_path / "w.whl", {"a": bytes(range(256))})
    content = bytearray(wheel.read_bytes())
    content[60] ^= 1
    wheel.write_bytes(content)
    with pytest.raises(BuildError, match="not a valid wheel"):
        unpack_wheel(wheel, tmp_path / "into", name="w.whl")


@pytest.mark.fault("a wheel that holds a name twice", "one error that names the member")
def test_a_name_that_is_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "into").mkdir()
    (tmp_path / "into/a").write_text("mine")
    wheel = wheel_of(tmp_path / "w.whl", {"a": b"other"})
    with pytest.raises(BuildError, match="already exists"):
        unpack_wheel(wheel, tmp_path / "into", name="w.whl")
    assert (tmp_path / "into/a").read_text() == "mine"
    with warnings.catch_warnings(action="ignore"):
        assert unpack_wheel(wheel, tmp_path / "other", name="w.whl") is None


def test_a_link_is_only_a_file_with_its_target_inside(tmp_path: Path) -> None:
    import zipfile

    wheel = tmp_path / "w.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        member = zipfile.ZipInfo("link")
        member.external_attr = 0o120777 << 16
        file.writestr(member, "/etc/passwd")
        file.writestr("link2/passwd", "x")
    unpack_wheel(wheel, tmp_path / "into", name="w.whl")
    assert not (tmp_path / "into/link").is_symlink()
    assert (tmp_path / "into/link").read_text() == "/etc/passwd"
