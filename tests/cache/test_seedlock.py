"""cache/seedlock.py: pinning the seed, and replacing packages that Debian no longer has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cache.debian import Index
from cache.seedlock import lock, replace_missing, successor
from plan.debianseed import Deb, debs, load_debian, load_lock
from plan.errors import BuildError
from tests.cache.archive import Mirror, Signer, stanza

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


def test_only_what_is_missing_is_replaced() -> None:
    assert replace_missing([OLD, SAME], set(), INDEX) == ((OLD, SAME), ())
    taken, drifts = replace_missing([SAME, OLD, GONE], {OLD.sha256}, INDEX)
    assert [(deb.name, deb.version) for deb in taken] == [("b", "1"), ("a", "2"), ("g", "1")]
    assert [str(drift) for drift in drifts] == ["a: 1 is gone, 2 is used instead"]
    assert (drifts[0].pinned, drifts[0].taken) == (OLD, taken[1])


@pytest.mark.parametrize(
    ("missing", "strict", "reason", "hint"),
    [
        ([OLD], True, "strict=1, and no URL serves a 1", "doit lock"),
        ([SAME], False, "no URL serves b 1, and Debian's index has no successor", "mirror="),
        ([OLD, GONE, SAME], False, "serves b 1, g 1, and", "network"),
    ],
)
def test_what_cannot_be_replaced(missing: list[Deb], strict: bool, reason: str, hint: str) -> None:
    gone = {deb.sha256 for deb in missing}
    with pytest.raises(BuildError) as caught:
        replace_missing([OLD, SAME, GONE], gone, INDEX, strict=strict)
    assert reason in caught.value.message
    assert hint in str(caught.value.hint)


def test_strict_lets_pass_what_is_there() -> None:
    assert replace_missing([OLD], set(), INDEX, strict=True) == ((OLD,), ())
