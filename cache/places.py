"""Resolves the `urls` of a source to the addresses to try, in order.

    https://…            unchanged
    debian:pool/…        the mirror setting, the archives of apt, snapshot.debian.org
    wheel:NAME==VERSION  pip, with its configured index
    git+URL@COMMIT       git, with its own settings (cache/git.py)

A pure function: it opens no connection.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from cache import apt
from cache.apt import Archive
from plan.errors import BuildError, inert
from plan.urls import GIT, KNOWN

SNAPSHOT = "https://snapshot.debian.org/archive"
_URL = re.compile(r"https?://[^\s/]+(/\S*)?")
_LONGEST = 300  # characters of a reason
_PASSWORD = re.compile(r"(?<=://)[^/?#\\\s]*@")
_WHEEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.!+_-]+")
_UPDATES = "pool/updates/"


class UrlFailed(Exception):
    """One URL did not give the file. `cache.sources` catches it and tries the next URL.

    reason: may contain a server's text; it is shortened, and control characters are removed.
    again: a later attempt may succeed (a cut connection, a busy server).
    remedy: what the user can do, if the fault is not the server's.
    status: the status of the server's answer, 0 if there was none.
    """

    def __init__(
        self, reason: str, *, again: bool = False, remedy: str = "", status: int = 0
    ) -> None:
        super().__init__(reason)
        self.reason = _shown(reason)
        self.again = again
        self.remedy = remedy
        self.status = status


class AnotherFile(UrlFailed):
    """The URL has a file, but not with the size or sha256 that is wanted: the network works."""


@dataclass(frozen=True)
class Candidate:
    """One address to try.

    kind: "url" (address is a URL), "wheel" (address is NAME==VERSION), "git" (address is the whole
    URL of a commit), or "nowhere" (address is a `debian:` URL for which no archive is known).
    """

    kind: Literal["url", "wheel", "git", "nowhere"]
    address: str

    def __str__(self) -> str:
        return f"wheel:{self.address}" if self.kind == "wheel" else without_password(self.address)


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return inert(line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…")


def without_password(url: str) -> str:
    """`url` for messages: without the user name and password of a private mirror."""
    return _PASSWORD.sub("", url)


def mirror_archives(mirror: str) -> tuple[Archive, ...]:
    """The archives of the setting `mirror`; none if it is empty.

    A mirror has the security archive, if at all, beside the main one as DIR-security.
    Raises BuildError if it is not an http or https URL.
    """
    if not mirror:
        return ()
    if not _URL.fullmatch(mirror):
        raise BuildError(
            f"the mirror {mirror} is not an http or https URL",
            hint="name the directory of a Debian archive that contains pool/",
        )
    url = mirror.rstrip("/")
    return (Archive(url, security=False), Archive(f"{url}-security", security=True))


def known_archives(mirror: str, apt_root: Path = Path("/")) -> tuple[Archive, ...]:
    """The archives to try, in order: of the setting `mirror`, then of apt below `apt_root`.

    Raises BuildError if `mirror` is not a URL.
    """
    return (*mirror_archives(mirror), *apt.archives(apt_root))


def resolve(
    urls: Iterable[str], *, archives: Sequence[Archive] = (), snapshot: str = ""
) -> tuple[Candidate, ...]:
    """The candidates for a source with these `urls`, in the order to try, without duplicates.

    archives: for `debian:` URLs. snapshot: a timestamp of snapshot.debian.org (such as
    20250801T000000Z); empty: do not use that archive. Raises BuildError for any other kind of URL.
    """
    found: dict[Candidate, None] = {}
    for url in urls:
        scheme, _, rest = url.partition(":")
        if _URL.fullmatch(url):
            found[Candidate("url", url)] = None
        elif scheme == "debian" and rest.startswith("pool/") and ".." not in rest.split("/"):
            known = _debian(rest, archives, snapshot) or [Candidate("nowhere", url)]
            found.update(dict.fromkeys(known))
        elif scheme == "wheel" and _WHEEL.fullmatch(rest):
            found[Candidate("wheel", rest)] = None
        elif GIT.fullmatch(url):
            found[Candidate("git", url)] = None
        else:
            raise BuildError(
                f"the kind of the URL {url} is unknown",
                hint=KNOWN,
            )
    return tuple(found)


def _debian(path: str, archives: Sequence[Archive], snapshot: str) -> list[Candidate]:
    """Try both archives: a point release moves files from the security archive to the main one."""
    security = path.startswith(_UPDATES)
    tail = path.removeprefix(_UPDATES if security else "pool/")
    forever = [
        Archive(f"{SNAPSHOT}/debian/{snapshot}", security=False),
        Archive(f"{SNAPSHOT}/debian-security/{snapshot}", security=True),
    ]

    def other_kind(archive: Archive) -> bool:
        return archive.security != security

    ordered = sorted(archives, key=other_kind)
    if snapshot:
        ordered += sorted(forever, key=other_kind)
    return [Candidate("url", _address(archive, tail)) for archive in ordered]


def _address(archive: Archive, tail: str) -> str:
    pool = _UPDATES if archive.security else "pool/"
    # Quote "+": servers with object storage read it as a space.
    return f"{archive.url}/{pool}{quote(tail, safe='/~')}"
