"""Writes, lists and removes files on a WebDAV server (RFC 4918).

PUT ──its directory is missing──▶ MKCOL for each directory ──▶ PUT
PROPFIND, Depth: 1 ──▶ name, size and time of what is in a directory
DELETE             ──▶ a file, or a directory with all that is in it
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import BinaryIO
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

from cache.places import UrlFailed
from cache.web import Web

# A directory above is missing: RFC 4918, 9.7.1; nginx without create_full_put_path says 500.
_NO_DIRECTORY = (409, 500)
_EXISTS = 405  # RFC 4918, 9.3.1: MKCOL for what is there
_NONE = (404, 410)
_LARGEST = 64 << 20  # bytes of a listing
_WANTED = (
    b'<?xml version="1.0"?><propfind xmlns="DAV:"><prop>'
    b"<resourcetype/><getcontentlength/><getlastmodified/></prop></propfind>"
)


@dataclass(frozen=True)
class Entry:
    """One file or directory of a listing. size: in bytes; changed: seconds since the epoch."""

    name: str
    is_directory: bool
    size: int
    changed: float


def put(web: Web, base: str, path: str, body: BinaryIO | bytes) -> None:
    """Write `body` to `path` below the URL `base`; missing directories are made there.

    Raises UrlFailed.
    """
    url = f"{base}/{path}"
    try:
        web.ask("PUT", url, body).close()
    except UrlFailed as error:
        if error.status not in _NO_DIRECTORY or not _make_directories(web, base, path):
            raise
        if not isinstance(body, bytes):
            body.seek(0)
        web.ask("PUT", url, body).close()


def _make_directories(web: Web, base: str, path: str) -> bool:
    """Whether the directories above `path` are there now."""
    made = base
    # The directory of the cache itself may be missing too.
    for name in ("", *path.split("/")[:-1]):
        made = f"{made}/{name}".rstrip("/")
        try:
            web.ask("MKCOL", f"{made}/").close()
        except UrlFailed as error:
            if error.status != _EXISTS:
                return False
    return True


def remove(web: Web, url: str) -> None:
    """Remove what is at `url`; a directory's URL ends with a slash. Raises UrlFailed."""
    try:
        web.ask("DELETE", url, headers={"Depth": "infinity"}).close()
    except UrlFailed as error:
        if error.status not in _NONE:
            raise


def listing(web: Web, url: str) -> list[Entry]:
    """What is in the directory at `url`; nothing if there is no such directory.

    Raises UrlFailed, also if the server cannot list it.
    """
    try:
        with web.ask("PROPFIND", f"{url}/", _WANTED, {"Depth": "1"}) as response:
            text = web.read(response, _LARGEST + 1, decoded=True)
    except UrlFailed as error:
        if error.status in _NONE:
            return []
        raise
    if len(text) > _LARGEST:
        raise UrlFailed(f"its listing has more than {_LARGEST} bytes")
    try:
        return [*_entries(text, unquote(urlsplit(url).path).rstrip("/"))]
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise UrlFailed(f"its listing cannot be read: {error}") from error


def _entries(text: bytes, directory: str) -> Iterator[Entry]:
    if b"<!DOCTYPE" in text:
        raise ValueError("it declares entities")  # which could fill the memory
    tree = ElementTree.fromstring(text)
    if tree.tag != "{DAV:}multistatus":
        raise ValueError("it is none of WebDAV")
    for each in tree.iterfind("{DAV:}response"):
        path = unquote(urlsplit(each.findtext("{DAV:}href") or "").path).rstrip("/")
        above, _, name = path.rpartition("/")
        if above != directory:
            continue  # the directory itself
        size, changed = (_property(each, name) for name in ("getcontentlength", "getlastmodified"))
        # What has no time counts as new: it is not removed.
        time = parsedate_to_datetime(changed).timestamp() if changed else math.inf
        is_directory = next(each.iter("{DAV:}collection"), None) is not None
        yield Entry(name, is_directory, int(size or 0), time)


def _property(response: ElementTree.Element, name: str) -> str:
    return next((each.text or "" for each in response.iter(f"{{DAV:}}{name}")), "")
