"""Ports of this host, for servers and machines that tests start."""

from __future__ import annotations

import socket


def free_port() -> int:
    """A port of the loopback address at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
