"""cache/places.py: the addresses for a URL, and their order."""

from __future__ import annotations

import pytest

from cache.apt import Archive
from cache.places import mirror_archives, resolve, without_password
from plan.errors import BuildError

MAIN = Archive("http://deb.example.org/debian", security=False)
SECURITY = Archive("http://deb.example.org/debian-security", security=True)
WHEN = "20250801T000000Z"
SNAPSHOT = "https://snapshot.debian.org/archive"


def shown(*urls: str, archives: tuple[Archive, ...] = (), snapshot: str = "") -> list[str]:
    return [str(found) for found in resolve(urls, archives=archives, snapshot=snapshot)]


def test_places_keep_their_order_and_come_once() -> None:
    url = "https://example.org/a+b.tar.gz?raw=1"
    found = resolve([url, "wheel:doit==0.37.0", "http://example.org/b", url])
    assert [(candidate.kind, candidate.address) for candidate in found] == [
        ("url", url),
        ("wheel", "doit==0.37.0"),
        ("url", "http://example.org/b"),
    ]


def test_a_pool_path_is_tried_in_every_archive_and_snapshot_last() -> None:
    assert shown(
        "debian:pool/main/g/gmp/gmp_6.3.0+dfsg.orig.tar.xz",
        archives=(*mirror_archives("https://m.example.org/d/"), SECURITY, MAIN),
        snapshot=WHEN,
    ) == [
        "https://m.example.org/d/pool/main/g/gmp/gmp_6.3.0%2Bdfsg.orig.tar.xz",
        f"{MAIN.url}/pool/main/g/gmp/gmp_6.3.0%2Bdfsg.orig.tar.xz",
        "https://m.example.org/d-security/pool/updates/main/g/gmp/gmp_6.3.0%2Bdfsg.orig.tar.xz",
        f"{SECURITY.url}/pool/updates/main/g/gmp/gmp_6.3.0%2Bdfsg.orig.tar.xz",
        f"{SNAPSHOT}/debian/{WHEN}/pool/main/g/gmp/gmp_6.3.0%2Bdfsg.orig.tar.xz",
        f"{SNAPSHOT}/debian-security/{WHEN}/pool/updates/main/g/gmp/gmp_6.3.0%2Bdfsg.orig.tar.xz",
    ]


def test_a_security_update_is_asked_of_the_security_archive_first() -> None:
    assert shown(
        "debian:pool/updates/main/l/linux/x.deb", archives=(MAIN, SECURITY), snapshot=WHEN
    ) == [
        f"{SECURITY.url}/pool/updates/main/l/linux/x.deb",
        f"{MAIN.url}/pool/main/l/linux/x.deb",
        f"{SNAPSHOT}/debian-security/{WHEN}/pool/updates/main/l/linux/x.deb",
        f"{SNAPSHOT}/debian/{WHEN}/pool/main/l/linux/x.deb",
    ]


def test_a_pool_path_without_any_archive_stays_in_sight() -> None:
    (found,) = resolve(["debian:pool/main/z/zlib/z.tar.gz"])
    assert (found.kind, str(found)) == ("nowhere", "debian:pool/main/z/zlib/z.tar.gz")


@pytest.mark.parametrize(
    "place",
    [
        "",
        "ftp://example.org/x",
        "file:///etc/passwd",
        "https://",
        "https:///x",
        "https://example.org/a b",
        "debian:main/z/zlib",
        "debian:/pool/main/x",
        "debian:pool/../../x",
        "wheel:doit",
        "wheel:doit>=1",
        "wheel:--index-url==x",
        "wheel:",
        "git:x",
    ],
)
def test_a_place_of_no_kind_is_refused(place: str) -> None:
    with pytest.raises(BuildError, match="the kind of the URL") as caught:
        resolve([place])
    assert "wheel:NAME==VERSION" in str(caught.value)


@pytest.mark.parametrize("mirror", ["deb.example.org/debian", "ftp://example.org/debian", "/srv/x"])
def test_a_mirror_that_is_no_url_is_refused(mirror: str) -> None:
    with pytest.raises(BuildError, match="not an http or https URL"):
        mirror_archives(mirror)


def test_no_mirror_is_no_archive() -> None:
    assert mirror_archives("") == ()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://me:secret@example.org/x@y", "https://example.org/x@y"),
        ("https://me:p@ss@example.org/", "https://example.org/"),
        ("https://example.org/x@y", "https://example.org/x@y"),
    ],
)
def test_passwords_are_not_shown(url: str, expected: str) -> None:
    assert without_password(url) == expected
    assert shown(url) == [expected]
