"""Downloads one file from one URL into a partial file, and keeps no data that must be wrong.

    partial ──▶ GET from its end on ──▶ bytes as sent, counted and hashed
                                          │ complete, and the hash is right: done
       from zero, once ◀── wrong, resumed ┤
       nothing kept ◀── wrong, too long ──┤
       kept ◀── cut, stalled ─────────────┘

The partial file may come from another URL or an earlier run: only the hash of the whole file
counts. If the header already shows a wrong answer, the partial file does not change.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cache.partial import Partial
from cache.places import AnotherFile, UrlFailed
from cache.watchdog import Watchdog
from cache.web import SLOWEST, Web

if TYPE_CHECKING:
    import requests

_CHUNK = 1 << 18
_HTML = re.compile(rb"\s*(<\?xml[^>]*>\s*)?<(!doctype\s+html|html|head)\b", re.IGNORECASE)
# A size from a server: int() fails for thousands of digits and accepts digits of other scripts.
_SIZE = re.compile(r"[0-9]{1,18}")
_CONTENT_RANGE = re.compile(rf"bytes ({_SIZE.pattern})-{_SIZE.pattern}/({_SIZE.pattern}|\*)")
_UNKNOWN_SIZE_LIMIT = 1 << 30  # bytes of a file whose size no recipe or lock states


class Stopped(Exception):
    """The run is ending; received data stays in the partial file."""


class _Wrong(Exception):
    """The URL serves another file; none of its data is kept. `failure`: what to tell of it."""

    def __init__(self, reason: str, *, html: bool = False) -> None:
        super().__init__(reason)
        # An HTML page may be the login page of a network.
        self.failure = UrlFailed(reason) if html else AnotherFile(reason)


def download(web: Web, url: str, partial: Partial) -> None:
    """Complete `partial` from `url`.

    Raises UrlFailed with the reason if this URL does not give the file, Stopped if `web.stop` is
    set, and BuildError if the file cannot be written.
    """
    while True:
        with _open(web, url, partial) as response:
            resumed = partial.length > 0
            try:
                _receive(web, response, partial)
                return
            except _Wrong as error:
                partial.empty()
                # The earlier part, perhaps from another URL, may be the wrong one: try once more.
                if not resumed:
                    raise error.failure from error


def _open(web: Web, url: str, partial: Partial) -> requests.Response:
    """A response whose body continues `partial`; else `partial` is emptied first."""
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
    # What another server stated of a source of unknown size does not count.
    size = partial.given or _announced(response)
    _check_length(response, size)
    partial.empty()
    partial.size = size
    return response


def _announced(response: requests.Response) -> int:
    """The Content-Length of the body, as the limit for a source of unknown size."""
    length = response.headers.get("Content-Length", "")
    if not _SIZE.fullmatch(length) or not 0 < int(length) <= _UNKNOWN_SIZE_LIMIT:
        response.close()
        raise UrlFailed(f"its size is unknown, and the server states {length or 'none'}")
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
    """Refuse a body whose stated length is wrong, before reading it.

    The length is that of the bytes as sent, with any Content-Encoding.
    """
    length = response.headers.get("Content-Length", str(expected))
    if length != str(expected):
        response.close()
        html = _says_html(response)
        what = "an HTML page" if html else f"{length} bytes"
        reason = f"{what} instead of {expected} bytes{_encoding(response)}"
        raise _Wrong(reason, html=html).failure


def _receive(web: Web, response: requests.Response, partial: Partial) -> None:
    """Append the body to `partial`; return when it is complete."""
    html = False
    try:
        for chunk in _body(web, response, partial):
            html = html or (partial.length == 0 and _HTML.match(chunk) is not None)
            if partial.length + len(chunk) > partial.size:
                what = "an HTML page" if html else "more"
                reason = f"{what} instead of {partial.size} bytes{_encoding(response)}"
                raise _Wrong(reason, html=html)
            partial.append(chunk)
    except UrlFailed:
        if html:
            partial.empty()
        raise
    if partial.complete():
        return
    if html:
        raise _Wrong("an HTML page instead of the file", html=True)
    if partial.length == partial.size:
        raise _Wrong(f"another file: its sha256 is {partial.found()}{_encoding(response)}")
    # Without a length or chunks, the end of the connection is the end; it may also be a cut.
    if response.raw.chunked:
        raise _Wrong(f"{partial.length} bytes instead of {partial.size}{_encoding(response)}")
    raise _cut(partial)


def _body(web: Web, response: requests.Response, partial: Partial) -> Iterator[bytes]:
    """The body's bytes as received, not decoded."""
    from urllib3.exceptions import HTTPError, ReadTimeoutError

    patience = web.patience.read
    began, seen = time.monotonic(), 0
    dog = Watchdog(2 * patience, response.raw.shutdown)
    try:
        # read1: read would wait for a whole chunk, even from a slow server. read1 still waits for
        # the line with a chunk's size: the watchdog limits that.
        while chunk := response.raw.read1(_CHUNK, decode_content=False):
            if web.stop.is_set():
                raise Stopped
            yield chunk
            seen += len(chunk)
            if (now := time.monotonic()) - began >= patience:
                if seen < SLOWEST * patience:
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


def _cut(partial: Partial) -> UrlFailed:
    return UrlFailed(f"cut connection after {partial.length} of {partial.size} bytes", again=True)


def _stalled(partial: Partial, how: str) -> UrlFailed:
    return UrlFailed(f"stalls after {partial.length} of {partial.size} bytes: {how}")


def _says_html(response: requests.Response) -> bool:
    return response.headers.get("Content-Type", "").lower().startswith("text/html")


def _encoding(response: requests.Response) -> str:
    encoding = response.headers.get("Content-Encoding", "identity")
    return "" if encoding == "identity" else f" (unexpected Content-Encoding {encoding})"
