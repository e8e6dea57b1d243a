"""Ports of this host, for servers and machines that tests start, and what answers there."""

from __future__ import annotations

import socket
import urllib.request


class Port:
    """A port of the loopback address at which nobody listens, and that the kernel gives to nobody
    else: a test beside this one gets another. A server that is told its number may listen there.
    """

    def __init__(self) -> None:
        self._held = socket.socket()
        # As every server has it: then it may bind the port too.
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._held.bind(("127.0.0.1", 0))
        self.number: int = self._held.getsockname()[1]

    def __enter__(self) -> int:
        return self.number

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Give it back."""
        self._held.close()


def answer(url: str, body: bytes | None = None) -> bytes | None:
    """What `url` answers with, or None if nothing answers, or only an error does."""
    try:
        with urllib.request.urlopen(url, body, timeout=30) as answered:
            return bytes(answered.read())
    except OSError:
        return None
