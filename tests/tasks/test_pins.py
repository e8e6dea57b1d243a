"""outdated, bump: on the command line, with a signed archive on loopback."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cache.debian import Index
from cache.seedlock import dump
from plan.seeding.debian import Lock
from tests.cache.archive import Mirror, Signer, source_stanza, stanza
from tests.tasks.toy import COMPILER, Checkout, Done

OLD, NEW = b"the old tarball", b"the new tarball, a little longer"
OLD_FILE, NEW_FILE = "left_1.2.orig.tar.gz", "left_1.10+dfsg.orig.tar.xz"
RECIPE = """\
# A comment before it, of version 1.2.
name: left
version: '1.2' # as Debian has it
license: MIT
description: left is a toy
sources:
  - sha256: {sha256}
    size: {size}
    file: left-1.2.tar.gz
    urls: [https://x.test/v1.2/left-1_2.tar.gz, "debian:pool/main/l/left/{file}"]
    snapshot: 20250801T000000Z
    exclude: [1.2]
depends: [bottom]
style: script
build: |
  echo 1.2
"""
# The real gpgv: only the key is that of the archive here, in place of Debian's.
GPGV = """\
#!/bin/sh
for word; do
  shift
  [ "$before" = --keyring ] && word={keyring}
  before=$word
  set -- "$@" "$word"
done
exec {gpgv} "$@"
"""


class Archive:
    """A toy checkout whose package `left` is pinned from an archive, and that archive."""

    def __init__(self, toy: Checkout, mirror: Mirror, programs: Path) -> None:
        self.toy, self.mirror = toy, mirror
        toy.variables["PATH"] = f"{programs}:{os.environ['PATH']}"
        toy.variables["BQ2_MIRROR"] = f"{mirror.url}/debian"
        self.recipe = toy.root / "plan" / "recipes" / "left.yaml"
        sha256 = hashlib.sha256(OLD).hexdigest()
        self.recipe.write_text(RECIPE.format(sha256=sha256, size=len(OLD), file=OLD_FILE))
        toy.recipe("right", "true", "bottom", **{"from": "left"})
        toy.edit("plan/recipes/right.yaml", "version: '1'", "version: 1.2")
        self.put(NEW_FILE, NEW)
        old = source_stanza("left", "1:1.2-1", (OLD_FILE, OLD))
        new = source_stanza("left", "1:1.10+dfsg-1", (NEW_FILE, NEW), ("left.dsc", b"x"))
        other = source_stanza("other", "9-1", ("other_9.orig.tar.gz", b"x"))
        self.offers(trixie=[other, old], security=[new, other], updates=[old])

    def offers(self, **stanzas: list[str]) -> None:
        for name, given in stanzas.items():
            suite = name if name in ("trixie", "oldstable") else f"trixie-{name}"
            archive = "debian-security" if name == "security" else "debian"
            self.mirror.publish_sources("\n".join(given), suite=suite, archive=archive)

    def put(self, file: str, content: bytes) -> None:
        pool = self.mirror.directory / "debian" / "pool" / "main" / "l" / "left"
        pool.mkdir(parents=True, exist_ok=True)
        (pool / file).write_bytes(content)

    def refused(self, *words: str) -> str:
        """What is said of what cannot be done: one error, and no file is changed."""
        before = self.recipe.read_bytes()
        done = self.toy.doit(*words)
        assert done.status != 0 and "Traceback" not in done.said, done
        assert len(re.findall("FAILED|ERROR:", done.said)) == 1, done
        assert self.recipe.read_bytes() == before, done
        return done.said


@pytest.fixture(scope="module")
def signer() -> Iterator[Signer]:
    made = Signer()
    yield made
    made.close()


@pytest.fixture
def archive(toy: Checkout, tmp_path: Path, signer: Signer) -> Iterator[Archive]:
    mirror = Mirror(tmp_path / "mirror", signer)
    (tmp_path / "programs").mkdir()
    gpgv = tmp_path / "programs" / "gpgv"
    gpgv.write_text(GPGV.format(keyring=signer.keyring, gpgv=shutil.which("gpgv")))
    gpgv.chmod(0o755)
    yield Archive(toy, mirror, tmp_path / "programs")
    mirror.close()


def good(done: Done) -> Done:
    assert done.status == 0, done
    return done


def test_what_is_outdated(archive: Archive) -> None:
    lines = good(archive.toy.doit("outdated")).said.splitlines()
    assert [line.split(maxsplit=2) for line in lines] == [
        ["bottom", "1", "no source"],
        ["kernel", "1", "no source"],
        ["left", "1.2", "1.10         newer"],
        ["right", "1.2", "as left"],
        ["top", "1", "no source"],
        ["1", "of", "5 have a newer version: left"],
    ]
    # The second time no index is fetched again, only what says which.
    assert len(list((archive.toy.cache / "sources").glob("[0-9a-f]*"))) == 3


SEED = (
    """\
archive: {suite: trixie, component: main}
architectures: {x86_64: {archive: amd64}}
wanted: {top: why, low: why}
"""
    + COMPILER
)


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the toy's seed is for x86_64")
def test_packages_of_the_seed_that_have_left_the_index(archive: Archive) -> None:
    now, gone = Index(stanza("top").encode()), Index(stanza("low").encode())
    debs = [index.find(name).deb for index, name in ((gone, "low"), (now, "top"))]  # type: ignore[union-attr]
    seeds = archive.toy.root / "plan" / "seeds"
    seeds.mkdir(exist_ok=True)
    (seeds / "debian.yaml").write_text(SEED)
    lock = Lock("trixie", "20250801T000000Z", tuple(debs))
    (seeds / "debian-x86_64.lock.yaml").write_text(dump(lock))
    packages = "\n".join([stanza("top"), stanza("low", "2-1")])
    archive.mirror.publish(packages, archive="debian")
    said = good(archive.toy.doit("outdated", "seed=debian")).said
    assert "WARNING  1 of 2 packages of the seed are no longer in Debian's index: low\n" in said
    said = archive.toy.doit("doctor", "seed=debian").said
    assert re.search(r"^warn  pins +1 of 2 packages of the seed have left", said, re.MULTILINE)


@pytest.mark.parametrize(
    ("file", "shown"),
    [("left_1.2+dfsg.orig.tar.gz", "1.2"), ("left_1.1.orig.tar.gz", "1.1          older")],
)
def test_the_same_and_the_older(archive: Archive, file: str, shown: str) -> None:
    stanza = source_stanza("left", "2:7-1", (file, OLD))
    archive.offers(trixie=[stanza], security=[], updates=[], oldstable=[])
    done = good(archive.toy.doit("outdated", "packages=left"))
    assert done.said.startswith(f"{'left':<17} {'1.2':<12} {shown}\n"), done
    assert f"WARNING  {OLD_FILE} of left is no longer in the archive's index" in done.said
    assert "0 of 1 have a newer version" in done.said
    assert "nothing newer" in good(archive.toy.doit("bump", "pkg:left")).said


def test_a_file_that_only_an_older_suite_has(archive: Archive) -> None:
    old = source_stanza("left", "1.2-1", (OLD_FILE, OLD))
    archive.offers(trixie=[], updates=[], security=[], oldstable=[old])
    said = good(archive.toy.doit("outdated", "packages=left")).said
    assert "not in trixie" in said and "no more" not in said
    changed = source_stanza("left", "1.2-1", (OLD_FILE, NEW))
    archive.offers(oldstable=[changed])
    said = good(archive.toy.doit("outdated", "packages=left")).said
    assert f"{OLD_FILE} of left has another sha256" in said
    assert "Debian trixie has no left" in archive.refused("bump", "left")


def test_an_index_that_cannot_be_had_is_told(archive: Archive) -> None:
    top = archive.mirror.directory / "debian-security" / "dists" / "trixie-security"
    (top / "Release").write_bytes(b"no such text was signed")
    said = good(archive.toy.doit("outdated", "packages=left")).said
    assert "WARNING  trixie-security was not checked: the signature is not by a key" in said
    assert "0 of 1 have a newer version" in said
    archive.offers(trixie=[source_stanza("another", "1-1")])
    shutil.rmtree(archive.mirror.directory / "debian" / "dists" / "trixie" / "main")
    assert "Sources.xz" in archive.refused("outdated")


@pytest.mark.parametrize(
    ("words", "messages"),
    [
        ("outdated offline=1", ["offline=1", "doit outdated offline=no"]),
        ("outdated packages=lft", ["no recipe 'lft'", "did you mean left?"]),
        ("outdated suite=a/b", ["suite cannot be 'a/b'", "trixie or sid"]),
        ("bump pkg:left offline=1", ["offline=1", "doit bump offline=no"]),
        ("bump pkg:lft", ["no recipe 'lft'", "did you mean left?"]),
        ("bump", ["exactly one package", "doit bump pkg:NAME"]),
        ("bump pkg:left pkg:right", ["exactly one package"]),
        ("bump pkg:top", ["plan/recipes/top.yaml", "no source", "edit by hand: version"]),
    ],
)
def test_bad_words(archive: Archive, words: str, messages: list[str]) -> None:
    before = archive.recipe.read_bytes()
    done = archive.toy.doit(*words.split())
    assert done.status != 0 and "Traceback" not in done.said, done
    assert all(message in done.said for message in messages), done
    assert archive.recipe.read_bytes() == before


@pytest.mark.parametrize("asked", ["pkg:left", "pkg:right"])
def test_a_newer_source_is_taken(archive: Archive, asked: str) -> None:
    # Whatever its line endings are, and the locale of the caller.
    archive.recipe.write_bytes(archive.recipe.read_bytes().replace(b"\n", b"\r\n"))
    before = archive.recipe.read_bytes().decode()
    done = good(archive.toy.doit("bump", asked))
    assert ("right uses the source of left" in done.said) == (asked == "pkg:right")
    digest = hashlib.sha256(NEW).hexdigest()
    assert (archive.toy.cache / "sources" / digest).read_bytes() == NEW
    expected = before
    for old, new in (
        ("version: '1.2'", "version: '1.10'"),
        (hashlib.sha256(OLD).hexdigest(), digest),
        (f"size: {len(OLD)}", f"size: {len(NEW)}"),
        ("left-1.2.tar.gz", "left-1.10.tar.xz"),
        ("v1.2/left-1_2.tar.gz", "v1.10/left-1_10.tar.xz"),
        (OLD_FILE, NEW_FILE),
        ("20250801T000000Z", "20260913T075541Z"),
    ):
        assert expected.count(old) == 1
        expected = expected.replace(old, new)
    assert archive.recipe.read_bytes().decode() == expected
    right = archive.toy.root / "plan" / "recipes" / "right.yaml"
    assert "version: 1.10\n" in right.read_text()
    assert "nothing newer (1.10)" in good(archive.toy.doit("bump", asked)).said


def test_a_source_that_is_not_what_the_index_says_changes_nothing(archive: Archive) -> None:
    archive.put(NEW_FILE, NEW[:-1] + b"!")
    assert NEW_FILE in archive.refused("bump", "pkg:left")
    archive.put(NEW_FILE, NEW)
    good(archive.toy.doit("bump", "pkg:left"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("version: '1.2'", "version: '3'", "left is 3, but its file is left 1.2"),
        ("debian:pool/main/l/left/left_1.2.orig.tar.gz", "https://x.test/2", "no debian URL"),
    ],
)
def test_what_has_to_be_edited_by_hand(archive: Archive, old: str, new: str, message: str) -> None:
    archive.toy.edit("plan/recipes/left.yaml", old, new)
    said = archive.refused("bump", "pkg:left")
    assert message in said and "plan/recipes/left.yaml: " in said and "edit by hand" in said
