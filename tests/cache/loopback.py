"""A real HTTP server on loopback; each path misbehaves in its own way."""

from __future__ import annotations

import gzip
import hashlib
import random
import re
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from plan.model import Source

DATA = random.Random(2).randbytes(300_000)
HALF = len(DATA) // 2
HTML = b"<!DOCTYPE html>\n<html><body>Please log in</body></html>"

# More digits than Python's int() takes.
_MANY = "9" * 5000
_NUMBERS = {"huge": _MANY, "large": "9" * 30, "negative": "-5", "other": "\xb2\xb3", "none": ""}
_NUMBERS |= {
    "underscore": "300_000",
    "signed": f"+{len(DATA)}",
    "twice": "5, 6",
    "control": "1\x1b[2J",
}
_PORTS = {"huge": _MANY, "large": "99999999", "negative": "-1", "other": "\xb2"}

# Answers by name: the status, and a header that makes no sense.
NONSENSE: dict[str, tuple[int, dict[str, str]]] = {
    **{f"length-{name}": (200, {"Content-Length": text}) for name, text in _NUMBERS.items()},
    **{
        f"range-{name}": (206, {"Content-Range": f"bytes {text}-{text}/{text}"})
        for name, text in _NUMBERS.items()
    },
    **{
        f"range-end-{name}": (206, {"Content-Range": f"bytes {HALF}-{text}/{text}"})
        for name, text in _NUMBERS.items()
    },
    **{
        f"port-{name}": (302, {"Location": f"http://127.0.0.1:{text}/"})
        for name, text in _PORTS.items()
    },
    "location-dots": (302, {"Location": "http://a..b/"}),
    "location-label": (302, {"Location": f"http://{'a' * 300}.invalid/"}),
    "location-space": (302, {"Location": "http://a b/"}),
    "location-control": (302, {"Location": "ftp://\x1b[2J/"}),
    "location-long": (302, {"Location": "ftp://" + "y" * 60_000}),
    "location-none": (302, {"Location": ""}),
    "retry-after": (503, {"Retry-After": _MANY}),
}


def source(*urls: str, data: bytes = DATA, file: str = "thing-1.0.tar.gz") -> Source:
    return Source(hashlib.sha256(data).hexdigest(), len(data), file, urls)


class Site:
    """`url(NAME)` is an address that behaves as the method NAME below; `asked` counts requests.

    identity: the file of the key and the certificate by which it speaks TLS.
    """

    def __init__(self, identity: Path | None = None) -> None:
        self.asked: Counter[str] = Counter()
        self.ranges: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.connections = 0
        self.over = threading.Event()
        site = self

        class Handler(_Handler):
            def setup(self) -> None:
                site.connections += 1
                super().setup()

            def do_GET(self) -> None:
                name = re.split(r"[/?]", self.path.removeprefix("http://").lstrip("/"))[0]
                site.asked[name] += 1
                site.ranges.append(self.headers.get("Range", ""))
                site.headers.append({k.lower(): v for k, v in self.headers.items()})
                behave: Callable[[_Handler], None] = getattr(site, name, site.missing)
                behave(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._scheme = "https" if identity else "http"
        if identity:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(identity)
            # The hands are shaken by the thread of the connection, not by the one that accepts.
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def url(self, name: str) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}/{name}"

    def close(self) -> None:
        self.over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    # Places that give the file in the end.

    def good(self, to: _Handler) -> None:
        start = to.start()
        if start:
            whole = f"bytes {start}-{len(DATA) - 1}/{len(DATA)}"
            to.answer(206, DATA[start:], {"Content-Range": whole})
        else:
            to.answer(200, DATA)

    def ignores_range(self, to: _Handler) -> None:
        to.answer(200, DATA)

    def refuses_range(self, to: _Handler) -> None:
        to.answer(416, b"") if to.start() else to.answer(200, DATA)

    def lies_about_range(self, to: _Handler) -> None:
        """Says 206 and sends the file from its beginning."""
        if to.start():
            to.answer(206, DATA, {"Content-Range": f"bytes 0-{len(DATA) - 1}/{len(DATA)}"})
        else:
            to.answer(200, DATA)

    def says_gzip(self, to: _Handler) -> None:
        """A common mistake: the file is named .gz, so it is called encoded."""
        to.answer(200, DATA, {"Content-Encoding": "gzip"})

    def slow(self, to: _Handler) -> None:
        to.head(200, {"Content-Length": str(len(DATA))})
        for at in range(0, len(DATA), 30_000):
            to.wfile.write(DATA[at : at + 30_000])
            time.sleep(0.01)

    def very_slow(self, to: _Handler) -> None:
        """Half at once, and the rest not before the test is over."""
        to.head(200, {"Content-Length": str(len(DATA))})
        to.wfile.write(DATA[:HALF])
        self.over.wait(120)
        to.close_connection = True

    def chunked(self, to: _Handler) -> None:
        to.chunks(DATA)

    def until_close(self, to: _Handler) -> None:
        to.head(200, {"Connection": "close"})
        to.wfile.write(DATA)

    def moved(self, to: _Handler) -> None:
        to.answer(302, b"moved", {"Location": "/good"})

    def busy_once(self, to: _Handler) -> None:
        to.answer(503, b"") if self.asked["busy_once"] == 1 else self.good(to)

    def cut_once(self, to: _Handler) -> None:
        """Half the file the first time; from then on it works, with ranges."""
        self.cut(to) if self.asked["cut_once"] == 1 else self.good(to)

    def etag(self, to: _Handler) -> None:
        """Headers that nobody asked for, and that make no sense."""
        age = {"Set-Cookie": f"a=b; Max-Age={_MANY}", "Last-Modified": "yesterday"}
        to.answer(200, DATA, {"ETag": "\xff" * 1000, "Age": _MANY, **age})

    # Places that never do.

    def nonsense(self, to: _Handler) -> None:
        """`nonsense/NAME`: the answer of that name in NONSENSE."""
        status, headers = NONSENSE[to.path.rpartition("/")[2]]
        to.answer(status, DATA, {"Connection": "close", **headers})

    def wants_user(self, to: _Handler) -> None:
        """A proxy that does not know who asks."""
        to.answer(407, b"who are you?")

    def always_partial(self, to: _Handler) -> None:
        """Says 206 whatever was asked."""
        to.answer(206, DATA, {"Content-Range": f"bytes 0-{len(DATA) - 1}/{len(DATA)}"})

    def always_416(self, to: _Handler) -> None:
        to.answer(416, b"no such range")

    def missing(self, to: _Handler) -> None:
        to.answer(404, b"not here")

    def missing_chunked(self, to: _Handler) -> None:
        to.chunks(b"not here", status=404)

    def missing_at_length(self, to: _Handler) -> None:
        """A page that does not end, about what is not there."""
        to.head(404, {"Content-Length": str(1 << 40), "Connection": "close"})
        while not self.over.is_set():
            to.wfile.write(DATA)

    def missing_trickles(self, to: _Handler) -> None:
        """Such a page, a byte at a time."""
        to.head(404, {"Content-Length": str(1 << 15)})
        while not self.over.wait(0.02):
            to.wfile.write(b"x")

    def missing_hangs(self, to: _Handler) -> None:
        """It promises such a page and does not send it."""
        to.head(404, {"Content-Length": "8"})
        self.hangs(to)

    def html(self, to: _Handler) -> None:
        to.answer(200, HTML, {"Content-Type": "text/html; charset=utf-8"})

    def html_chunked(self, to: _Handler) -> None:
        to.chunks(HTML)

    def html_of_right_length(self, to: _Handler) -> None:
        to.answer(200, HTML.ljust(len(DATA)))

    def html_cut(self, to: _Handler) -> None:
        to.head(200, {"Content-Length": str(len(DATA)), "Connection": "close"})
        to.wfile.write(HTML)

    def wrong(self, to: _Handler) -> None:
        to.answer(200, DATA[:-1] + b"!")

    def wrong_cut(self, to: _Handler) -> None:
        """The first half of another file."""
        to.head(200, {"Content-Length": str(len(DATA)), "Connection": "close"})
        to.wfile.write(bytes(HALF))

    def longer(self, to: _Handler) -> None:
        to.answer(200, DATA + b"more")

    def shorter(self, to: _Handler) -> None:
        to.answer(200, DATA[:-1])

    def shorter_chunked(self, to: _Handler) -> None:
        to.chunks(DATA[:-1])

    def endless(self, to: _Handler) -> None:
        to.head(200, {"Connection": "close"})
        while not self.over.is_set():
            to.wfile.write(DATA)

    def cut(self, to: _Handler) -> None:
        """Promises all, sends half, hangs up."""
        to.head(200, {"Content-Length": str(len(DATA)), "Connection": "close"})
        to.wfile.write(DATA[:HALF])

    def cut_and_larger(self, to: _Handler) -> None:
        """Promises more than there is, sends half, hangs up."""
        to.head(200, {"Content-Length": str(len(DATA) + 7), "Connection": "close"})
        to.wfile.write(DATA[:HALF])

    def cut_chunked(self, to: _Handler) -> None:
        to.head(200, {"Transfer-Encoding": "chunked", "Connection": "close"})
        to.wfile.write(b"%x\r\n" % len(DATA) + DATA[:HALF])

    def hangs(self, to: _Handler) -> None:
        self.over.wait(120)
        to.close_connection = True

    def hangs_midway(self, to: _Handler) -> None:
        self.very_slow(to)

    def trickles(self, to: _Handler) -> None:
        to.head(200, {"Content-Length": str(len(DATA))})
        while not self.over.wait(0.02):
            to.wfile.write(b"x")

    def trickles_without_length(self, to: _Handler) -> None:
        to.head(200, {"Connection": "close"})
        while not self.over.wait(0.02):
            to.wfile.write(b"x")

    def header_trickles(self, to: _Handler) -> None:
        """A header that does not end, a byte at a time."""
        to.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not self.over.wait(0.05):
            to.wfile.write(b"x")

    def chunk_trickles(self, to: _Handler) -> None:
        """Half the file, then a line with the size of a chunk that does not end."""
        to.head(200, {"Transfer-Encoding": "chunked"})
        to.wfile.write(b"%x\r\n%s\r\n1;" % (HALF, DATA[:HALF]))
        while not self.over.wait(0.05):
            to.wfile.write(b"x")

    def missing_chunk_trickles(self, to: _Handler) -> None:
        """A page about what is missing, whose first chunk has an endless size."""
        to.head(404, {"Transfer-Encoding": "chunked"})
        to.wfile.write(b"1;")
        while not self.over.wait(0.05):
            to.wfile.write(b"x")

    def loops(self, to: _Handler) -> None:
        to.answer(301, b"round", {"Location": self.url("loops")})

    def to_file(self, to: _Handler) -> None:
        to.answer(302, b"", {"Location": "file:///etc/hostname"})

    def to_another_host(self, to: _Handler) -> None:
        """To this host, by a URL that ends as one of example.org does."""
        to.answer(302, b"", {"Location": f"http://127.0.0.1:{self.port}?x@example.org/"})

    def to_localhost(self, to: _Handler) -> None:
        to.answer(302, b"", {"Location": f"http://localhost:{self.port}/good"})

    def redirects_endlessly(self, to: _Handler) -> None:
        """A redirect with a body that does not end."""
        to.head(302, {"Location": "/missing", "Connection": "close"})
        while not self.over.is_set():
            to.wfile.write(DATA)

    def to_nonsense(self, to: _Handler) -> None:
        to.answer(302, b"", {"Location": "http://[::1/x"})

    def gzips(self, to: _Handler) -> None:
        to.answer(200, gzip.compress(DATA), {"Content-Encoding": "gzip"})

    def gzips_chunked(self, to: _Handler) -> None:
        to.chunks(gzip.compress(bytes(len(DATA))), {"Content-Encoding": "gzip"})

    def not_http(self, to: _Handler) -> None:
        to.wfile.write(b"SSH-2.0-hello\r\n")
        to.close_connection = True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each answer waits 40 ms for an acknowledgement

    def do_CONNECT(self) -> None:
        """As a proxy: there is no way through."""
        self.send_error(407)

    def head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.head(status, {"Content-Length": str(len(body)), **(headers or {})})
        self.wfile.write(body)

    def chunks(self, body: bytes, headers: dict[str, str] | None = None, status: int = 200) -> None:
        self.head(status, {"Transfer-Encoding": "chunked", **(headers or {})})
        for at in range(0, len(body), 70_000):
            piece = body[at : at + 70_000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def start(self) -> int:
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(match[1]) if match else 0

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, ssl.SSLError):
            self.close_connection = True  # the client has seen enough

    def log_message(self, format: str, *args: Any) -> None:
        pass
