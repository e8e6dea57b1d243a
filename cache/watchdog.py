"""Ends connections that are too slow: limits the time of a whole header, not of one read.

    watchdog armed ──▶ read ──in time──▶ disarmed
                        └──too long──▶ the socket is shut down, the read ends, TimeoutError

A server that sends its header, or the size of a chunk, byte by byte stays within the limit of each
read. Without the watchdog, the client would wait forever.
"""

from __future__ import annotations

import contextlib
import functools
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import requests


class Watchdog:
    """Calls `bite` after `seconds`, unless feed() or call_off() comes first."""

    def __init__(self, seconds: float, bite: Callable[[], object]) -> None:
        self._seconds = seconds
        self._bite = bite
        self.bitten = threading.Event()
        self._timer = self._started()

    def call_off(self) -> None:
        """Stop the timer."""
        self._timer.cancel()

    def feed(self) -> None:
        """Restart the timer."""
        self._timer.cancel()
        self._timer = self._started()

    def _started(self) -> threading.Timer:
        timer = threading.Timer(self._seconds, self._over)
        timer.daemon = True
        timer.start()
        return timer

    def _over(self) -> None:
        self.bitten.set()
        with contextlib.suppress(OSError, ValueError, RuntimeError):  # the socket is already closed
            self._bite()


def watched(session: requests.Session, seconds: float) -> None:
    """Make `session` raise TimeoutError if the header of an answer takes longer than `seconds`."""
    from requests.adapters import HTTPAdapter
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    def getresponse(connection: Any) -> Any:
        dog = Watchdog(seconds, functools.partial(_shut_down, connection.sock))
        try:
            response = super(type(connection), connection).getresponse()
        except Exception as error:
            if dog.bitten.is_set():
                raise TimeoutError from error
            raise
        finally:
            dog.call_off()
        if dog.bitten.is_set():  # the header is incomplete
            raise TimeoutError
        return response

    def pool(base: Any) -> Any:
        methods = {"getresponse": getresponse}
        connection = type("Connection", (base.ConnectionCls,), methods)
        return type("Pool", (base,), {"ConnectionCls": connection})

    pools = {"http": pool(HTTPConnectionPool), "https": pool(HTTPSConnectionPool)}

    class Adapter(HTTPAdapter):
        """Makes watched connections, with and without a proxy."""

        def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
            super().init_poolmanager(*arguments, **named)
            self.poolmanager.pool_classes_by_scheme = pools

        def proxy_manager_for(self, *arguments: Any, **named: Any) -> Any:
            manager = super().proxy_manager_for(*arguments, **named)
            manager.pool_classes_by_scheme = pools
            return manager

    for scheme in ("http://", "https://"):
        session.mount(scheme, Adapter())


def _shut_down(shut: socket.socket) -> None:
    # Not the method of a TLS socket: it ends TLS first and may wait for that.
    socket.socket.shutdown(shut, socket.SHUT_RDWR)
