"""Whether servers answer, asked all at once and within a given time.

    urls ──a thread each──▶ first bytes of an answer, or the reason why there is none

Proxies and certificates count: they are asked as a download asks them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from cache import outward
from cache.places import PlaceFailed
from cache.web import Patience, Web
from plan.errors import BuildError


def unreachable(urls: Sequence[str], *, seconds: float) -> dict[str, PlaceFailed]:
    """The reason for each of `urls` whose server did not answer within `seconds`.

    Any answer will do, but for a proxy's: a server may well keep the list of its files to itself.
    Raises BuildError where the environment of this process is wrong.
    """
    import requests  # noqa: F401  # once, before the threads would wait for each other

    for url in urls:
        outward.check(url)
    silent = PlaceFailed(f"no answer within {seconds:g} s")
    reasons: dict[str, PlaceFailed | None] = dict.fromkeys(urls, silent)
    patience = Patience(connect=seconds, read=seconds)
    end = time.monotonic() + seconds
    threads = [
        # Whoever waits for a name server cannot be stopped, so nobody waits for the thread.
        threading.Thread(target=_ask, args=(url, patience, reasons), daemon=True)
        for url in reasons
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return {url: reason for url, reason in dict(reasons).items() if reason}


def _ask(url: str, patience: Patience, reasons: dict[str, PlaceFailed | None]) -> None:
    try:
        Web(patience).get(url).close()
        reasons[url] = None
    except PlaceFailed as error:
        answered = error.reason.startswith("HTTP 4") and not error.reason.startswith("HTTP 407")
        reasons[url] = None if answered else error
    except BuildError:
        pass  # of a place that it was sent on to
