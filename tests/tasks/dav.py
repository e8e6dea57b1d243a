"""A real WebDAV server on loopback for shared caches: GET, and PUT by who may write."""

from __future__ import annotations

import base64
import os
import threading
from collections import Counter
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Dav:
    """Serves the files in `root` at `url`.

    user: "name:password" that PUT needs. cut: after so many bytes of a body, in either direction,
    each connection is cut. page: every answer is this text, as that of a network's login page.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.user = ""
        self.cut: int | None = None
        self.page = b""
        self.asked: Counter[str] = Counter()
        dav = self

        class Handler(SimpleHTTPRequestHandler):
            def __init__(self, *arguments: object) -> None:
                super().__init__(*arguments, directory=os.fspath(dav.root))  # type: ignore[arg-type]

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                dav.asked["GET"] += 1
                if dav.page:
                    self._answer(200, dav.page)
                elif dav.cut is not None and Path(self.translate_path(self.path)).is_file():
                    self._cut_short()
                else:
                    super().do_GET()

            def do_PUT(self) -> None:
                dav.asked["PUT"] += 1
                wanted = "Basic " + base64.b64encode(dav.user.encode()).decode()
                body = self._body()
                if body is None:
                    self.close_connection = True
                elif dav.user and self.headers.get("Authorization") != wanted:
                    self._answer(401, b"")
                else:
                    path = Path(self.translate_path(self.path))
                    path.parent.mkdir(parents=True, exist_ok=True)
                    fresh = path.with_name(f".{path.name}.{threading.get_ident()}")
                    fresh.write_bytes(body)
                    fresh.replace(path)
                    self._answer(201, b"")

            def _body(self) -> bytes | None:
                size = int(self.headers["Content-Length"])
                if dav.cut is not None and size > dav.cut:
                    self.rfile.read(dav.cut)
                    return None
                return self.rfile.read(size)

            def _cut_short(self) -> None:
                data = Path(self.translate_path(self.path)).read_bytes()
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data[: dav.cut])
                self.close_connection = True

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        """Stop it: from now on its port refuses connections."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
