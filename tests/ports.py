"""Ports of this host, for servers and machines that tests start, and what answers there."""

from __future__ import annotations

import socket
import urllib.request


def free_port() -> int:
    """A port of the loopback address at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def answer(url: str, body: bytes | None = None) -> bytes | None:
    """What `url` answers with, or None if nothing answers, or only an error does."""
    try:
        with urllib.request.urlopen(url, body, timeout=30) as answered:
            return bytes(answered.read())
    except OSError:
        return None
