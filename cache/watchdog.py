"""Ends connections that trickle: a time limit for each byte is none for a line of them.

    watchdog armed ──▶ read ──in time──▶ disarmed
                        └──too long──▶ the socket is shut down, the read ends, TimeoutError

A server that sends its header, or the size of a chunk, one byte at a time within every limit for a
single read would otherwise be waited for for ever.
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
    """Calls `bite` unless it is fed or called off within `seconds`."""

    def __init__(self, seconds: float, bite: Callable[[], object]) -> None:
        self._seconds = seconds
        self._bite = bite
        self.bitten = threading.Event()
        self._timer = self._started()

    def call_off(self) -> None:
        """Bite no more."""
        self._timer.cancel()

    def feed(self) -> None:
        """Begin anew to count the seconds."""
        self._timer.cancel()
        self._timer = self._started()

    def _started(self) -> threading.Timer:
        timer = threading.Timer(self._seconds, self._over)
        timer.daemon = True
        timer.start()
        return timer

    def _over(self) -> None:
        self.bitten.set()
        with contextlib.suppress(OSError, ValueError):  # it was closed at the same moment
            self._bite()


def watched(session: requests.Session, seconds: float) -> None:
    """Have each answer's header come within `seconds`, or raise what a silent server does."""
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
        if dog.bitten.is_set():  # half a header was taken for a whole one
            raise TimeoutError
        return response

    def pool(base: Any) -> Any:
        methods = {"getresponse": getresponse}
        connection = type("Connection", (base.ConnectionCls,), methods)
        return type("Pool", (base,), {"ConnectionCls": connection})

    pools = {"http": pool(HTTPConnectionPool), "https": pool(HTTPSConnectionPool)}

    class Adapter(HTTPAdapter):
        """Makes connections of ours, with and without a proxy."""

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
    # Not the method of a TLS socket, which would first end TLS and could wait for that.
    socket.socket.shutdown(shut, socket.SHUT_RDWR)
