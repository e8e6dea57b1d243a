"""Brings one file from one address into a partial file, and keeps only what can be right.

    partial ──▶ GET from its end on ──▶ bytes as they were sent, counted and hashed
                                          │ all there, and the hash fits: done
       from zero, once ◀── wrong, resumed ┤
       nothing kept ◀── wrong, too long ──┤
       kept ◀── cut, stalled ─────────────┘

What the partial file holds may come from another place or an earlier run: only the hash of the
whole counts. A wrong answer that shows in its header leaves the partial file as it is.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cache.partial import Partial
from cache.places import PlaceFailed
from cache.watchdog import Watchdog
from cache.web import Web

if TYPE_CHECKING:
    import requests

_CHUNK = 1 << 18
# Bytes per second, over the time that a stall may last: with less a connection counts as hung.
_SLOWEST = 1024
_HTML = re.compile(rb"\s*(<\?xml[^>]*>\s*)?<(!doctype\s+html|html|head)\b", re.IGNORECASE)
# What a server says is a size: int() refuses thousands of digits, and takes those of other scripts.
_SIZE = re.compile(r"[0-9]{1,18}")
_CONTENT_RANGE = re.compile(rf"bytes ({_SIZE.pattern})-{_SIZE.pattern}/({_SIZE.pattern}|\*)")
_UNKNOWN_SIZE_LIMIT = 1 << 30  # bytes of a file whose size no recipe or lock says


class Stopped(Exception):
    """The run is ending; what has come so far stays in the partial file."""


class _Wrong(Exception):
    """The place serves something else; nothing of it may stay."""


def download(web: Web, url: str, partial: Partial) -> None:
    """Complete `partial` from `url`.

    Raises PlaceFailed with the reason when this place does not give the file, Stopped when
    `web.stop` is set, and BuildError when the file cannot be written.
    """
    while True:
        with _open(web, url, partial) as response:
            resumed = partial.length > 0
            try:
                _receive(web, response, partial)
                return
            except _Wrong as error:
                partial.empty()
                # What we had may have been the wrong part, from another place: once more.
                if not resumed:
                    raise PlaceFailed(str(error)) from error


def _open(web: Web, url: str, partial: Partial) -> requests.Response:
    """A response whose body goes on at the end of `partial`, which is emptied if it must be."""
    if partial.length:
        response = web.get(url, start=partial.length)
        if _continues(response, partial):
            _check_length(response, partial.size - partial.length)
            return response
        if response.status_code != 200:
            response.close()
            response = web.get(url)
    else:
        response = web.get(url)
    if response.status_code != 200:
        response.close()
        raise PlaceFailed(f"HTTP {response.status_code}, which was not asked for")
    size = partial.size or _announced(response)
    _check_length(response, size)
    partial.empty()
    partial.size = size
    return response


def _announced(response: requests.Response) -> int:
    """How long the body says it is, for a source of unknown size: something has to bound it."""
    length = response.headers.get("Content-Length", "")
    if not _SIZE.fullmatch(length) or not 0 < int(length) <= _UNKNOWN_SIZE_LIMIT:
        response.close()
        raise PlaceFailed(f"its size is unknown, and this place says {length or 'nothing'}")
    return int(length)


def _continues(response: requests.Response, partial: Partial) -> bool:
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    return (
        response.status_code == 206
        and match is not None
        and int(match[1]) == partial.length
        and match[2] in ("*", str(partial.size))
    )


def _check_length(response: requests.Response, expected: int) -> None:
    """Refuse a body that says that it is too long or too short, before any of it is read.

    The length is of the bytes as sent, so this holds whatever Content-Encoding says.
    """
    length = response.headers.get("Content-Length", str(expected))
    if length != str(expected):
        response.close()
        what = "an HTML page" if _says_html(response) else f"{length} bytes"
        raise PlaceFailed(f"{what} instead of {expected} bytes{_encoding(response)}")


def _receive(web: Web, response: requests.Response, partial: Partial) -> None:
    """Append the body to `partial`; returns when that is complete."""
    html = False
    try:
        for chunk in _body(web, response, partial):
            html = html or (partial.length == 0 and _HTML.match(chunk) is not None)
            if partial.length + len(chunk) > partial.size:
                what = "an HTML page" if html else "more"
                raise _Wrong(f"{what} instead of {partial.size} bytes{_encoding(response)}")
            partial.append(chunk)
    except PlaceFailed:
        if html:
            partial.empty()
        raise
    if partial.complete():
        return
    if html:
        raise _Wrong("an HTML page instead of the file")
    if partial.length == partial.size:
        raise _Wrong(f"another file: its sha256 is {partial.found()}{_encoding(response)}")
    # Without a length or chunks the end of the connection is the end: it may have been cut.
    if response.raw.chunked:
        raise _Wrong(f"{partial.length} bytes instead of {partial.size}{_encoding(response)}")
    raise _cut(partial)


def _body(web: Web, response: requests.Response, partial: Partial) -> Iterator[bytes]:
    """The body's bytes as they come, never decoded."""
    from urllib3.exceptions import HTTPError, ReadTimeoutError

    patience = web.patience.read
    began, seen = time.monotonic(), 0
    dog = Watchdog(2 * patience, response.raw.shutdown)
    try:
        # read1, since read would wait for a whole chunk, however slowly it trickles in. The line
        # with a chunk's size it does wait for: hence the watchdog.
        while chunk := response.raw.read1(_CHUNK, decode_content=False):
            if web.stop.is_set():
                raise Stopped
            yield chunk
            seen += len(chunk)
            if (now := time.monotonic()) - began >= patience:
                if seen < _SLOWEST * patience:
                    raise _stalled(partial, f"{seen} bytes in {patience:g} s")
                began, seen = now, 0
                dog.feed()
    except ReadTimeoutError as error:
        raise _stalled(partial, f"nothing for {patience:g} s") from error
    except (HTTPError, OSError) as error:
        if dog.bitten.is_set():
            raise _stalled(partial, f"{seen} bytes in {2 * patience:g} s") from error
        raise _cut(partial) from error
    finally:
        dog.call_off()


def _cut(partial: Partial) -> PlaceFailed:
    return PlaceFailed(f"cut connection after {partial.length} of {partial.size} bytes", again=True)


def _stalled(partial: Partial, how: str) -> PlaceFailed:
    return PlaceFailed(f"stalls after {partial.length} of {partial.size} bytes: {how}")


def _says_html(response: requests.Response) -> bool:
    return response.headers.get("Content-Type", "").lower().startswith("text/html")


def _encoding(response: requests.Response) -> str:
    encoding = response.headers.get("Content-Encoding", "identity")
    return "" if encoding == "identity" else f" (sent with Content-Encoding {encoding}, unasked)"
