"""Opens URLs over HTTP for one run; a host that is down is not asked again.

    url ──▶ host known to be down? ──▶ GET ──▶ redirect (http, https; at most 10)? ──▶ response

A host may have headers of its own, with credentials: no other host ever gets them.
Proxies and certificates come from the environment (cache/outward.py); .netrc is read too. A body is
read as far as the caller asks, so memory use is bounded.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urljoin, urlsplit

from cache import outward
from cache.paths import NAME
from cache.places import UrlFailed
from cache.watchdog import Watchdog, watched
from plan.errors import BuildError

if TYPE_CHECKING:
    import requests

_REDIRECTS = 10
# After this many requests in a row without an answer a host counts as down. After a refused
# connection or an unknown name it counts as down at once.
_SILENCES = 2
_WHOLE = 2  # a whole header may take this many times `Patience.read`
SLOWEST = 1024
"""Bytes per second, on average over `Patience.read`: a slower connection counts as stalled."""
_PAGE = 1 << 16  # bytes of a page that says why something cannot be had
_DONE = frozenset({200, 201, 204, 207})
_BUSY = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Patience:
    """Times to wait, in seconds: for a connection, for the next bytes, between two rounds."""

    connect: float = 8.0
    read: float = 30.0
    pause: float = 1.0


class Web:
    """The shared state of the downloads of one run. All methods are safe in any thread.

    headers: those that a host gets with each request: HOST or HOST:PORT → name → value.
    unchecked: no hash checks what comes, so https must not lead to http.
    """

    def __init__(
        self,
        patience: Patience | None = None,
        headers: Mapping[str, Mapping[str, str]] | None = None,
        *,
        unchecked: bool = False,
    ) -> None:
        self.patience = patience or Patience()
        self._headers = headers or {}
        self._unchecked = unchecked
        self.stop = threading.Event()
        """Set it to stop every download of this run soon."""
        self.remedies: dict[str, None] = {}
        """The remedies for all failures, without duplicates."""
        self._down: dict[str, str] = {}
        self._news: list[str] = []
        self._silences: dict[str, int] = {}
        self._lock = threading.Lock()
        self._mine = threading.local()

    def get(self, url: str, *, start: int = 0) -> requests.Response:
        """The response to a GET of `url` from byte `start` on, with status 200; with a
        `start` also 206 or 416.

        The caller reads `response.raw` without decoding and closes the response. Raises
        UrlFailed with the reason for any other result, and BuildError if the environment of this
        process is wrong.
        """
        try:
            for _ in range(_REDIRECTS + 1):
                outward.check(url)
                response = self._get_once(url, start)
                if response.status_code in ((200, 206, 416) if start else (200,)):
                    return response
                if not response.is_redirect:
                    self._let_go(response)
                    raise _failed(response)
                response.close()
                url = self._followed(url, response.headers["Location"])
        except UrlFailed as error:
            if error.remedy:
                self.remedies[error.remedy] = None
            raise
        raise UrlFailed(f"redirects more than {_REDIRECTS} times")

    def ask(
        self,
        method: str,
        url: str,
        body: BinaryIO | bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """The response to one request that is no GET, with a status of success; the caller closes
        it. Raises UrlFailed and BuildError as get does; a redirect is a failure.
        """
        outward.check(url)
        try:
            response = self._once(method, url, headers or {}, body)
            if response.status_code not in _DONE:
                self._let_go(response)
                raise _failed(response)
            return response
        except UrlFailed as error:
            if error.remedy:
                self.remedies[error.remedy] = None
            raise

    def read(self, response: requests.Response, size: int, *, decoded: bool = False) -> bytes:
        """The next `size` bytes of the body, or what is left of it. decoded: not as they were sent.

        Raises UrlFailed if the connection ends before the body does, says nothing for too long, or
        is slower than SLOWEST.
        """
        from urllib3.exceptions import HTTPError

        data, counted, began = bytearray(), 0, time.monotonic()
        dog = Watchdog(_WHOLE * self.patience.read, response.raw.shutdown)
        try:
            # read1 waits for the next bytes only: read would wait for all, also from a slow server.
            while piece := response.raw.read1(size - len(data), decode_content=decoded):
                data += piece
                if (now := time.monotonic()) - began >= self.patience.read:
                    if len(data) - counted < SLOWEST * self.patience.read:
                        raise _slow(len(data) - counted, now - began)
                    counted, began = len(data), now
                    dog.feed()
        except (HTTPError, OSError) as error:
            if not dog.bitten.is_set():
                reason = f"cut connection: {_text(_innermost(error))}"
                raise UrlFailed(reason, again=True) from error
        finally:
            dog.call_off()
        if dog.bitten.is_set():  # that is the end of the body, if nothing tells its length
            raise _slow(len(data) - counted, _WHOLE * self.patience.read)
        return bytes(data)

    def news(self) -> list[str]:
        """One line for each host that went down since the last call."""
        with self._lock:
            news, self._news = self._news, []
        return news

    def _followed(self, url: str, target: str) -> str:
        """The URL that `url` redirects to. Raises UrlFailed if that is not safe."""
        found = redirected(url, target)
        if urlsplit(found).scheme == "http":
            if self._unchecked and urlsplit(url).scheme == "https":
                raise UrlFailed("redirects from https to http")
            if _host(found) != _host(url) and self._has_password(found):
                # Anyone on the way could read it; no one asked for that URL.
                raise UrlFailed(f"redirects to {found}: http, where a password would be sent")
        return found

    def _has_password(self, url: str) -> bool:
        from requests.utils import get_netrc_auth

        return bool(self._headers.get(_host(url)) or get_netrc_auth(url))

    def _let_go(self, response: requests.Response) -> None:
        """Close the refusal `response`. Its page is read first if it is short, because only then
        can the connection take the next request: a shared cache refuses each step that it lacks.
        """
        with contextlib.suppress(UrlFailed, ValueError):
            if int(response.headers.get("Content-Length", "0")) <= _PAGE:
                self.read(response, _PAGE)
        response.close()

    def _get_once(self, url: str, start: int) -> requests.Response:
        # Compression by the server would change the bytes, and their hash.
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        return self._once("GET", url, headers)

    def _once(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: BinaryIO | bytes | None = None,
    ) -> requests.Response:
        import requests
        from urllib3.exceptions import HTTPError

        host = _host(url)
        if host in self._down:
            raise UrlFailed(f"{host} is down ({self._down[host]}), not asked again")
        own = self._headers.get(host, {})
        try:
            response = self._session().request(
                method,
                url,
                data=body,
                headers={"User-Agent": NAME, **headers, **own},
                # Otherwise a password in .netrc would replace the header Authorization.
                auth=(lambda request: request) if own else None,
                stream=True,
                allow_redirects=False,
                timeout=(self.patience.connect, self.patience.read),
            )
            with self._lock:
                self._silences.pop(host, None)  # only silences in a row count
            return response
        except requests.ReadTimeout as error:
            self._silent(host)
            raise UrlFailed(f"no answer for {self.patience.read:g} s") from error
        except requests.ConnectionError as error:
            failed = _explain(url, error)
            if not failed.again:
                self._mark_down(host, failed.reason)
            raise failed from error
        except (requests.RequestException, HTTPError, ValueError) as error:
            raise UrlFailed(f"not a usable answer: {_text(_innermost(error))}") from error

    def _session(self) -> requests.Session:
        """This thread's session: connections are reused, but not by other threads."""
        if not hasattr(self._mine, "session"):
            self._mine.session = _session()
            watched(self._mine.session, _WHOLE * self.patience.read)
        session: requests.Session = self._mine.session
        return session

    def _silent(self, host: str) -> None:
        with self._lock:
            self._silences[host] = self._silences.get(host, 0) + 1
            often = self._silences[host] >= _SILENCES
        if often:
            self._mark_down(host, "does not answer")

    def _mark_down(self, host: str, reason: str) -> None:
        with self._lock:
            if host not in self._down:
                self._down[host] = reason
                self._news.append(f"{host} is not asked again: {reason}")


def _slow(size: int, seconds: float) -> UrlFailed:
    return UrlFailed(f"too slow: {size} bytes in {seconds:.0f} s")


def _session() -> requests.Session:
    import requests

    class Session(requests.Session):
        """Ignores redirects: requests reads the whole body of a redirect, even if it does not
        follow it."""

        def get_redirect_target(self, resp: requests.Response) -> None:
            return None

    session = Session()
    session.verify = outward.certificates() or True
    return session


def _host(url: str) -> str:
    """HOST or HOST:PORT, as the library that connects reads it: headers are for one host only.

    Raises UrlFailed.
    """
    from urllib3.exceptions import LocationParseError
    from urllib3.util import parse_url

    try:
        return parse_url(url).netloc or ""
    except LocationParseError as error:
        raise UrlFailed(f"not a usable answer: {error}") from error


def redirected(url: str, target: str) -> str:
    """The URL that `url` redirects to. Raises UrlFailed."""
    try:
        # Header fields are read as Latin-1 (RFC 9110, 5.5), but servers send UTF-8.
        target = target.encode("latin-1").decode("utf-8", errors="replace")
        joined = urljoin(url, target)
        parts = urlsplit(joined)
        usable = bool(parts.hostname) and parts.scheme in ("http", "https")
    except ValueError:
        usable = False
    if not usable:
        raise UrlFailed(f"redirects to {target}, which is not http or https")
    before = urlsplit(url)
    if parts.hostname == before.hostname and before.scheme == "https" != parts.scheme:
        # Headers and passwords of the host would follow.
        raise UrlFailed("redirects from https to http")
    return joined


def _failed(response: requests.Response) -> UrlFailed:
    status = response.status_code
    return UrlFailed(
        f"HTTP {status} {response.reason or ''}".rstrip(),
        again=status in _BUSY,
        remedy=outward.user_remedy() if status == 407 else "",
        status=status,
    )


def _explain(url: str, error: requests.ConnectionError) -> UrlFailed:
    """The failure in words; `again` is set if a connection was made."""
    import requests
    from urllib3 import exceptions as errors

    cause, root = error.args[0] if error.args else error, _innermost(error)
    if not isinstance(cause, errors.MaxRetryError):
        return UrlFailed(f"cut connection: {_text(root)}", again=True)
    proxy = outward.proxy_of(url)
    if isinstance(error, requests.exceptions.SSLError):
        return UrlFailed(f"TLS fails: {_text(root)}", remedy=outward.certificate_remedy(root))
    if any(isinstance(each, errors.NameResolutionError) for each in _chain(error)):
        reason = "its name does not resolve"
    elif isinstance(error, requests.ConnectTimeout):
        reason = "no connection in time"
    else:
        reason = f"no connection: {_text(root)}"
    if proxy is None:
        return UrlFailed(reason)
    wants_user = " 407 " in f" {_text(root)} "
    remedy = outward.user_remedy() if wants_user else outward.proxy_remedy(proxy[0])
    return UrlFailed(f"the proxy fails ({outward.shown_proxy(*proxy)}): {reason}", remedy=remedy)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """`error`, its cause, the cause of that, and so on.

    An earlier error of this project is none: the caller asks because of it.
    """
    came: BaseException | None = error
    while came is not None and not isinstance(came, (BuildError, UrlFailed)):
        yield came
        came = came.__cause__ or came.__context__


def _innermost(error: BaseException) -> BaseException:
    """The first exception: outer ones only repeat addresses and object names."""
    return [*_chain(error)][-1]


def _text(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error) or type(error).__name__
