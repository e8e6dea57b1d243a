"""From the places of a source to the addresses that are asked for it, in order.

    https://…            as it is
    debian:pool/…        mirror setting, archives of apt's configuration, snapshot.debian.org
    wheel:NAME==VERSION  pip, with whatever index pip is configured with

A pure function: nothing is looked up or opened here.
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
from plan.errors import BuildError

SNAPSHOT = "https://snapshot.debian.org/archive"
_URL = re.compile(r"https?://[^\s/]+(/\S*)?")
_PASSWORD = re.compile(r"(?<=://)[^/\s]*@")
_WHEEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.!+_-]+")
_UPDATES = "pool/updates/"


class PlaceFailed(Exception):
    """Why one place did not give the file. Caught by `cache.sources`, which asks the next one.

    again: it may well go better a moment later (a cut connection, a busy server).
    remedy: what helps, where it is not the place that has to be mended.
    """

    def __init__(self, reason: str, *, again: bool = False, remedy: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.again = again
        self.remedy = remedy


@dataclass(frozen=True)
class Candidate:
    """One thing to try.

    kind: "url" (address is one), "wheel" (address is NAME==VERSION), or "nowhere" (address is a
    place that nothing on this machine knows an address for).
    """

    kind: Literal["url", "wheel", "nowhere"]
    address: str

    def __str__(self) -> str:
        return f"wheel:{self.address}" if self.kind == "wheel" else without_password(self.address)


def without_password(url: str) -> str:
    """`url` as it may be shown: less the user name and password that a private mirror has."""
    return _PASSWORD.sub("", url)


def mirror_archives(mirror: str) -> tuple[Archive, ...]:
    """The archives that the setting `mirror` stands for; none for an empty one.

    A mirror that has the security archive too has it beside the main one, as DIR-security.
    Raises BuildError when it is not an http or https URL.
    """
    if not mirror:
        return ()
    if not _URL.fullmatch(mirror):
        raise BuildError(
            f"the mirror {mirror} is not an http or https URL",
            hint="give the folder of a Debian archive that has pool/ in it",
        )
    url = mirror.rstrip("/")
    return (Archive(url, security=False), Archive(f"{url}-security", security=True))


def known_archives(mirror: str, apt_root: Path = Path("/")) -> tuple[Archive, ...]:
    """The archives to ask, in order: those of the setting `mirror`, then those of apt's
    configuration below `apt_root`. Raises BuildError when `mirror` is no URL.
    """
    return (*mirror_archives(mirror), *apt.archives(apt_root))


def resolve(
    places: Iterable[str], *, archives: Sequence[Archive] = (), snapshot: str = ""
) -> tuple[Candidate, ...]:
    """The candidates for a source with these `places`, in the order to try them, each once.

    archives: what `debian:` stands for. snapshot: a timestamp of snapshot.debian.org (like
    20250801T000000Z); empty leaves that archive out. Raises BuildError for a place that is none
    of the three kinds.
    """
    found: dict[Candidate, None] = {}
    for place in places:
        scheme, _, rest = place.partition(":")
        if _URL.fullmatch(place):
            found[Candidate("url", place)] = None
        elif scheme == "debian" and rest.startswith("pool/") and ".." not in rest.split("/"):
            known = _debian(rest, archives, snapshot) or [Candidate("nowhere", place)]
            found.update(dict.fromkeys(known))
        elif scheme == "wheel" and _WHEEL.fullmatch(rest):
            found[Candidate("wheel", rest)] = None
        else:
            raise BuildError(
                f"the place {place} is of no known kind",
                hint="known: https://…, debian:pool/…, wheel:NAME==VERSION",
            )
    return tuple(found)


def _debian(path: str, archives: Sequence[Archive], snapshot: str) -> list[Candidate]:
    """A file moves from the security archive to the main one at a point release: try both."""
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
    # A bare "+" is a space to servers that keep their files in object storage.
    return f"{archive.url}/{pool}{quote(tail, safe='/~')}"
