"""cache/seedlock.py: pinning the seed, and replacing packages that Debian no longer has."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cache.debian import Index, Release
from cache.seedlock import lock, replace_missing, successor
from cache.sources import FetchFailed, fetch
from cache.web import Patience, Web
from plan.errors import BuildError
from plan.seeding.debian import Deb, DebianSeed, debs, load_debian, load_lock
from tests.cache.archive import Mirror, Signer, stanza

HASTY = Patience(connect=2, read=2, pause=0.01)
SEED = """\
archive: {suite: trixie, component: main}
compiler: {programs: /usr/bin, resources: /usr}
architectures: {x86_64: {archive: amd64}}
wanted:
  top: because
exclude_packages:
  heavy: not needed
"""
PACKAGES = "\n".join(
    [stanza("top", "1:2.0~rc1+b1", Depends="low, heavy"), stanza("low"), stanza("heavy")]
)


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    signer = Signer()
    made = Mirror(tmp_path / "mirror", signer)
    (tmp_path / "key.gpg").write_bytes(signer.keyring.read_bytes())
    yield made
    made.close()
    signer.close()


def test_a_lock_pins_what_is_wanted(mirror: Mirror, tmp_path: Path) -> None:
    mirror.publish(PACKAGES)
    (tmp_path / "seed.yaml").write_text(SEED)
    seed = load_debian(tmp_path / "seed.yaml", "x86_64")
    text = lock(seed, [mirror.url], keyring=tmp_path / "key.gpg")
    path = tmp_path / "seed.lock.yaml"
    path.write_text(text)
    pinned = load_lock(path)
    assert [(deb.name, deb.version) for deb in pinned.debs] == [
        ("low", "1-1"),
        ("top", "1:2.0~rc1+b1"),
    ]
    assert (pinned.suite, pinned.snapshot) == ("trixie", "20260913T075541Z")
    assert [source.urls for source in debs(pinned)] == [
        ("debian:pool/main/l/low/low_1-1_amd64.deb",),
        ("debian:pool/main/t/top/top_1:2.0~rc1+b1_amd64.deb",),
    ]
    assert lock(seed, [mirror.url], keyring=tmp_path / "key.gpg") == text
    assert str(tmp_path) not in text
    assert mirror.url not in text


def pinned(name: str, version: str) -> Deb:
    package = Index(stanza(name, version).encode()).find(name)
    assert package
    return package.deb


INDEX = Index("\n".join([stanza("a", "2"), stanza("b", "1"), stanza("c", Provides="v")]).encode())
OLD, SAME, GONE, VIRTUAL = pinned("a", "1"), pinned("b", "1"), pinned("g", "1"), pinned("v", "1")


def test_successors() -> None:
    new = successor(INDEX, OLD)
    assert new
    assert (new.name, new.version) == ("a", "2")
    assert successor(INDEX, SAME) is None
    assert successor(INDEX, GONE) is None
    assert successor(INDEX, VIRTUAL) is None


RELEASE = Release("trixie", datetime(2026, 9, 12, 7, 55, 41, tzinfo=UTC), {})


@pytest.fixture
def seed(tmp_path: Path) -> DebianSeed:
    (tmp_path / "seed.yaml").write_text(SEED)
    return load_debian(tmp_path / "seed.yaml", "x86_64")


def test_only_what_is_missing_is_replaced(seed: DebianSeed) -> None:
    assert replace_missing(seed, [OLD, SAME], set(), RELEASE, INDEX) == ()
    (drift,) = replace_missing(seed, [SAME, OLD, GONE], {OLD.sha256}, RELEASE, INDEX)
    assert str(drift) == "a: 1 is gone, 2 is used instead"
    assert (drift.pinned, drift.taken.version) == (OLD, "2")
    # The successor has a second place too: that of the index which names it.
    assert drift.taken.snapshot == "20260913T075541Z"


def test_a_successor_brings_what_it_newly_needs(seed: DebianSeed) -> None:
    stanzas = [
        stanza("a", "2", Depends="b (>= 1), new | other, heavy"),
        stanza("b", "1", Depends="not-followed"),
        stanza("new", "3", Depends="newer"),
        stanza("newer", "4"),
    ]
    index = Index("\n".join(stanzas).encode())
    drifts = replace_missing(seed, [OLD, SAME], {OLD.sha256}, RELEASE, index)
    assert [str(drift) for drift in drifts] == [
        "a: 1 is gone, 2 is used instead",
        "new: 3 is added, a needs it now",
        "newer: 4 is added, a needs it now",
    ]
    lacking = Index(stanza("a", "2", Depends="nowhere").encode())
    with pytest.raises(BuildError, match="nowhere, a dependency of a, is not in the index"):
        replace_missing(seed, [OLD, SAME], {OLD.sha256}, RELEASE, lacking)


@pytest.mark.parametrize(
    ("missing", "strict", "reason", "hint"),
    [
        ([OLD], True, "strict=1, and no URL serves a 1", "doit lock"),
        ([SAME], False, "no URL serves b 1, and Debian's index has no newer version", "mirror="),
        ([OLD, GONE, SAME], False, "serves b 1, g 1, and", "network"),
    ],
)
def test_what_cannot_be_replaced(
    seed: DebianSeed, missing: list[Deb], strict: bool, reason: str, hint: str
) -> None:
    gone = {deb.sha256 for deb in missing}
    with pytest.raises(BuildError) as caught:
        replace_missing(seed, [OLD, SAME, GONE], gone, RELEASE, INDEX, strict=strict)
    assert reason in caught.value.message
    assert hint in str(caught.value.hint)


def test_strict_lets_pass_what_is_there(seed: DebianSeed) -> None:
    assert replace_missing(seed, [OLD], set(), RELEASE, INDEX, strict=True) == ()


@pytest.mark.fault(
    "a pinned package of the seed has left Debian's archive",
    "snapshot.debian.org gives it, byte for byte; the seed does not change",
)
def test_a_superseded_package_comes_from_the_second_place(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache_root: Path
) -> None:
    data = b"the bytes of the superseded package"
    sha256, when = hashlib.sha256(data).hexdigest(), "20260913T075541Z"
    path = "pool/main/t/top/top_1+b1_amd64.deb"
    row = f"{{name: top, version: 1+b1, size: {len(data)}, path: {path}, sha256: {sha256}}}"
    (tmp_path / "lock.yaml").write_text(f"suite: x\nsnapshot: {when}\npackages:\n- {row}\n")
    (source,) = debs(load_lock(tmp_path / "lock.yaml"))
    monkeypatch.setattr("cache.places.SNAPSHOT", f"{mirror.url}/archive")
    kept = mirror.directory / "archive" / "debian" / when / path
    kept.parent.mkdir(parents=True)
    kept.write_text("<html>busy</html>")
    options = {"mirror": f"{mirror.url}/debian", "apt_root": tmp_path, "web": Web(HASTY)}
    with pytest.raises(FetchFailed) as caught:
        fetch([source], **options)  # type: ignore[arg-type]
    assert [*caught.value.reasons[sha256]][-2:] == [
        f"{mirror.url}/archive/debian/{when}/{path.replace('+', '%2B')}",
        f"{mirror.url}/archive/debian-security/{when}/"
        + path.replace("+", "%2B").replace("pool", "pool/updates", 1),
    ]
    kept.write_bytes(data)
    found = fetch([source], **options)  # type: ignore[arg-type]
    assert found == {sha256: cache_root / "sources" / sha256}
    assert found[sha256].read_bytes() == data
