"""Checks in parallel whether servers answer within a given time.

    urls ──a thread each──▶ first bytes of an answer, or the reason why there is none

It uses proxies and certificates as a download does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from cache import outward
from cache.failures import has_answered
from cache.places import UrlFailed
from cache.web import Patience, Web
from plan.errors import BuildError


def unreachable(
    urls: Sequence[str], *, seconds: float, files: bool = False
) -> dict[str, UrlFailed]:
    """The `urls` whose server did not answer within `seconds`, each with the reason.

    Any answer of the server is enough, also an error: a server may not list its directories. An
    error of a proxy is not enough. files: the URLs name files, and an error is no answer.
    Raises BuildError if the environment of this process is wrong.
    """
    import requests  # noqa: F401  # once, before the threads would wait for each other

    for url in urls:
        outward.check(url)
    silent = UrlFailed(f"no answer within {seconds:g} s")
    reasons: dict[str, UrlFailed | None] = dict.fromkeys(urls, silent)
    patience = Patience(connect=seconds, read=seconds)
    end = time.monotonic() + seconds
    threads = [
        # A daemon: a thread that waits for a name server cannot be stopped.
        threading.Thread(target=_ask, args=(url, patience, reasons, files), daemon=True)
        for url in reasons
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return {url: reason for url, reason in dict(reasons).items() if reason}


def _ask(url: str, patience: Patience, reasons: dict[str, UrlFailed | None], files: bool) -> None:
    try:
        Web(patience).get(url).close()
        reasons[url] = None
    except UrlFailed as error:
        reasons[url] = None if has_answered(error.reason) and not files else error
    except BuildError:
        pass  # the environment is wrong for the target of a redirect
