"""Finds the upstream tarballs of a Debian suite in its signed index of source packages.

    Release, its signature checked ──sha256──▶ Sources.xz ──▶ stanzas of the wanted packages
        Directory: pool/main/z/zlib      Checksums-Sha256: <sha256> <size> zlib_1.3.1.orig.tar.gz

A stable suite has two more suites with newer versions: <suite>-updates in the same archive and
<suite>-security in another. They are read too, and skipped if they are not available.
"""

from __future__ import annotations

import lzma
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cache.apt import Archive
from cache.debian import ANOTHER, Release, fetch_release
from cache.sources import fetch
from cache.web import Web
from plan.errors import BuildError
from plan.model import Source
from plan.versions import order
from plan.writing.pins import Tarball, tarball

# Suites without -updates and -security.
_ALONE = frozenset({"sid", "unstable", "experimental"})
_INDEX = "main/source/Sources.xz"
_HEAD = re.compile(r"^Package: (\S+)", re.MULTILINE)
_FIELD = re.compile(r"^([A-Za-z0-9-]+):[ \t]*(.*(?:\n[ \t].*)*)", re.MULTILINE)


@dataclass(frozen=True)
class _Suite:
    """A suite's verified Release file, and the path of its verified Sources.xz."""

    release: Release
    packed: Path


@dataclass
class SourceIndex:
    """The found tarballs. newest: by source package. hashes: of all tarballs, by path.

    missing: name of an additional suite → why it could not be read.
    """

    newest: dict[str, Tarball] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    """Of all source packages that were seen, if one of the wanted is not there."""

    def like(self, name: str) -> list[str]:
        """The source packages whose names contain `name`: the shortest six."""
        return sorted(
            (each for each in self.names if name in each), key=lambda each: (len(each), each)
        )[:6]

    def take(self, suite: _Suite, wanted: Collection[str]) -> None:
        """Add the source packages `wanted` of `suite`."""
        for each in _tarballs(suite.packed, wanted):
            found = replace(each, snapshot=suite.release.snapshot)
            self.hashes[found.path] = found.sha256
            known = self.newest.get(found.package)
            if known is None or order(known.version) < order(found.version):
                self.newest[found.package] = found
        if not self.newest.keys() >= {*wanted}:
            self.names.update(_HEAD.findall(_text(suite.packed).decode("utf-8", "replace")))


def fetch_source_index(
    archives: Sequence[Archive],
    wanted: Collection[str],
    *,
    suite: str,
    keyring: Path | None = None,
    web: Web | None = None,
) -> SourceIndex:
    """The source packages `wanted` in `suite` and its additional suites.

    Raises BuildError if the index of `suite` itself is not available, or its signature is wrong.
    What is wrong with an additional suite is in `missing`.
    """
    web, index = web or Web(), SourceIndex()
    main = [archive.url for archive in archives if not archive.security]
    security = [archive.url for archive in archives if archive.security]
    index.take(_fetched(main, suite, keyring, web), wanted)
    beside = {f"{suite}-updates": main, f"{suite}-security": security}
    for name, bases in ({} if suite in _ALONE else beside).items():
        try:
            index.take(_fetched(bases, name, keyring, web), wanted)
        except BuildError as error:
            index.missing[name] = error.message
    return index


def _fetched(bases: Sequence[str], suite: str, keyring: Path | None, web: Web) -> _Suite:
    release = fetch_release(bases, suite=suite, keyring=keyring, web=web)
    if _INDEX not in release.hashes:
        where = f"Debian {suite}"
        raise BuildError(f"its Release file does not name {_INDEX}", where=where, hint=ANOTHER)
    sha256, size = release.hashes[_INDEX]
    # by-hash gives the right file even while the mirror is being updated.
    names = (f"{_INDEX.rpartition('/')[0]}/by-hash/SHA256/{sha256}", _INDEX)
    urls = tuple(f"{base.rstrip('/')}/dists/{suite}/{name}" for name in names for base in bases)
    packed = fetch([Source(sha256, size, "Sources.xz", urls)], web=web)[sha256]
    return _Suite(release, packed)


def _text(packed: Path) -> bytes:
    try:
        return lzma.decompress(packed.read_bytes())
    except (lzma.LZMAError, EOFError) as error:
        where = str(packed)
        raise BuildError(f"cannot be decompressed: {error}", where=where, hint=ANOTHER) from error


def _tarballs(packed: Path, wanted: Collection[str]) -> Iterator[Tarball]:
    """The upstream tarballs of the packages `wanted`; only their stanzas are parsed."""
    text = _text(packed)
    heads = {f"Package: {name}".encode(): name for name in wanted}
    for stanza in text.split(b"\n\n"):
        name = heads.get(stanza.lstrip(b"\n").partition(b"\n")[0])
        if name is None:
            continue
        fields = dict(_FIELD.findall(stanza.decode("utf-8", "replace")))
        try:
            for line in fields["Checksums-Sha256"].strip().splitlines():
                sha256, size, file = line.split()
                found = tarball(f"{fields['Directory']}/{file}", int(size), sha256)
                if found:
                    yield found
        except (KeyError, ValueError) as error:
            where = f"Debian {name}"
            raise BuildError(
                "its entry in the index is invalid", where=where, hint=ANOTHER
            ) from error
