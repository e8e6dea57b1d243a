"""cache/debian.py: which signed indexes are trusted, and what they resolve to."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cache import debian
from cache.debian import Index, check_signature, closure, fetch_index
from plan.errors import BuildError
from tests.cache.archive import Mirror, Signer, stanza

PACKAGES = "\n".join(
    [
        stanza("a", Depends="b (>= 2), c | d, libvirtual:any", Pre_Depends="e"),
        stanza("b", "2:1.0+x~y-1", Depends=""),
        stanza("d", Depends="a, b [amd64]"),
        stanza("e"),
        stanza("f", Depends="missing"),
        stanza("prov2", Provides="libvirtual (= 2), other"),
        stanza("prov1", Provides="libvirtual"),
        stanza("g", Depends="d | b"),
        stanza("h", Depends="b, d | b"),
        stanza("i", Depends="prov2, libvirtual"),
        stanza("j", Depends="nothere | other"),
    ]
)


@pytest.fixture(scope="module")
def signer() -> Iterator[Signer]:
    made = Signer()
    yield made
    made.close()


@pytest.fixture
def mirror(tmp_path: Path, signer: Signer) -> Iterator[Mirror]:
    made = Mirror(tmp_path / "mirror", signer)
    yield made
    made.close()


def test_a_signed_index_is_read(mirror: Mirror, signer: Signer) -> None:
    mirror.publish(PACKAGES)
    release, index = fetch_index([mirror.url + "/"], suite="trixie", keyring=signer.keyring)
    assert release.date == datetime(2026, 9, 12, 7, 55, 41, tzinfo=UTC)
    package = index.find("b")
    assert package
    assert (package.deb.version, package.deb.size) == ("2:1.0+x~y-1", 1000)
    assert "a" in index
    assert "libvirtual" not in index


def test_the_next_archive_is_asked(mirror: Mirror, signer: Signer) -> None:
    mirror.publish(PACKAGES)
    bases = [f"{mirror.url}/nothing", "http://127.0.0.1:9", mirror.url]
    release, _ = fetch_index(bases, suite="trixie", keyring=signer.keyring)
    assert release.suite == "trixie"
    with pytest.raises(BuildError) as caught:
        fetch_index(bases[:2], suite="trixie", keyring=signer.keyring)
    assert f"{bases[0]}: HTTP 404" in caught.value.message
    assert bases[1] in caught.value.message
    assert caught.value.hint


def test_what_no_known_key_signed_is_refused(mirror: Mirror, signer: Signer) -> None:
    top = mirror.publish(PACKAGES)
    release = (top / "Release").read_bytes()
    other = Signer()
    try:
        with pytest.raises(BuildError, match="not by a key in"):
            fetch_index([mirror.url], suite="trixie", keyring=other.keyring)
        both = (top / "Release.gpg").read_bytes() + other.sign(release)
    finally:
        other.close()
    check_signature(release, both, keyring=signer.keyring, where="x")  # one known key is enough
    wrong = (top / "Release.gpg").read_bytes() + signer.sign(release + b" ")
    for text, signature in [
        (release + b" ", (top / "Release.gpg").read_bytes()),
        (release, wrong),
        (release, b""),
        (release, b"<html>not found</html>"),
        (b"", (top / "Release.gpg").read_bytes()),
    ]:
        with pytest.raises(BuildError, match="not by a key in") as caught:
            check_signature(text, signature, keyring=signer.keyring, where="http://x/Release")
        assert caught.value.where == "http://x/Release"
        assert caught.value.hint


# The command line of sqv: it reads one file only with --cleartext, and has no status lines.
SQV = """#!/bin/sh
for word; do
    shift
    case $word in
        --cleartext) cleartext=1;;
        --status-fd) exit 2;;
        *) set -- "$@" "$word";;
    esac
done
[ "$1" != --output ] || [ "$cleartext" ] || exit 2
exec {gpgv} "$@"
"""


def only_sqv(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without gpgv, as Debian 13 is; its sqv calls gpgv."""
    (directory / "sqv").write_text(SQV.format(gpgv=shutil.which("gpgv")))
    (directory / "sqv").chmod(0o755)
    monkeypatch.setenv("PATH", str(directory))


@pytest.mark.parametrize("tool", ["gpgv", "sqv"])
def test_a_signature_of_another_day_gives_way_to_the_file_that_is_both(
    mirror: Mirror,
    signer: Signer,
    tool: str,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    top = mirror.publish(PACKAGES)
    release = (top / "Release").read_bytes()
    (top / "Release.gpg").write_bytes(signer.sign(b"of yesterday"))
    both = signer.sign_inside(release)
    if tool == "sqv":
        only_sqv(tmp_path_factory.mktemp("programs"), monkeypatch)
    with pytest.raises(BuildError, match="not by a key in"):
        fetch_index([mirror.url], suite="trixie", keyring=signer.keyring)
    # Only what was signed counts, not what stands around it.
    evil = b"Date: Sat, 12 Sep 2099 07:55:41 UTC\n"
    (top / "InRelease").write_bytes(evil + both + evil)
    release_read, index = fetch_index([mirror.url], suite="trixie", keyring=signer.keyring)
    assert release_read.date.year == 2026 and "a" in index
    (top / "InRelease").write_bytes(both.replace(b"stable", b"stabel"))
    with pytest.raises(BuildError, match="not by a key in"):
        fetch_index([mirror.url], suite="trixie", keyring=signer.keyring)


def test_sqv_does_as_well(signer: Signer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signature = signer.sign(b"text")
    only_sqv(tmp_path, monkeypatch)
    check_signature(b"text", signature, keyring=signer.keyring, where="x")
    with pytest.raises(BuildError, match="not by a key in"):
        check_signature(b"text", b"", keyring=signer.keyring, where="x")


def test_without_tool_or_key_the_remedy_is_said(
    signer: Signer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian, "_KEYRINGS", (tmp_path / "none.gpg",))
    with pytest.raises(BuildError, match="no archive key") as caught:
        check_signature(b"", b"", where="x")
    assert "debian-archive-keyring" in str(caught.value.hint)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match="neither gpgv nor sqv") as caught:
        check_signature(b"", b"", keyring=signer.keyring, where="x")
    assert "gpgv" in str(caught.value.hint)


def test_another_suite_or_another_index_is_refused(mirror: Mirror, signer: Signer) -> None:
    mirror.publish(PACKAGES, codename="bookworm")
    with pytest.raises(BuildError, match="Release file of bookworm, not trixie"):
        fetch_index([mirror.url], suite="trixie", keyring=signer.keyring)
    top = mirror.publish(PACKAGES)
    with pytest.raises(BuildError, match="does not name main/binary-mips"):
        fetch_index([mirror.url], suite="trixie", architecture="mips", keyring=signer.keyring)
    (top / "main/binary-amd64/Packages.xz").write_bytes(b"x")
    with pytest.raises(BuildError, match=r"Packages\.xz"):
        fetch_index([mirror.url], suite="trixie", keyring=signer.keyring)


@pytest.mark.parametrize(
    ("wanted", "exclude", "found"),
    [
        (["b"], [], "b"),
        (["a"], [], "a b d e prov1"),
        (["b", "b"], [], "b"),
        (["g"], [], "a b d e g prov1"),
        (["h"], [], "b h"),  # an alternative that is there already is taken
        (["b", "g"], [], "b g"),
        (["i"], [], "i prov1 prov2"),
        (["j"], [], "j prov2"),
        (["a"], ["e", "libvirtual"], "a b d"),
        (["a"], ["c", "b"], "a e prov1"),  # an excluded alternative counts as met
        (["f"], ["missing"], "f"),
    ],
)
def test_closures(wanted: list[str], exclude: list[str], found: str) -> None:
    debs = closure(Index(PACKAGES.encode()), wanted, exclude)
    assert [deb.name for deb in debs] == found.split()


@pytest.mark.parametrize(
    ("wanted", "exclude", "reason"),
    [
        (["nothing"], [], "nothing, a dependency of the seed, is not in the index"),
        (["f"], [], "missing, a dependency of f, is not in the index"),
        (["b"], ["e", "zz"], "nothing depends on it: e, zz"),
    ],
)
def test_closures_that_cannot_be(wanted: list[str], exclude: list[str], reason: str) -> None:
    with pytest.raises(BuildError, match=reason):
        closure(Index(PACKAGES.encode()), wanted, exclude)


def test_a_broken_entry_is_named() -> None:
    text = stanza("a").replace("Size: 1000", "Size: many")
    with pytest.raises(BuildError) as caught:
        Index(text.encode()).find("a")
    assert caught.value.where == "Debian a"
