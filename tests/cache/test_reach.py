"""cache/reach.py: which servers answer, and why others do not."""

from __future__ import annotations

import time

import pytest

from cache.reach import unreachable
from tests.cache.loopback import Site


def test_who_answers(site: Site) -> None:
    """Any answer will do: a list of files may be secret, and the root of an archive empty."""
    urls = [site.url(name) for name in ("good", "missing", "moved", "endless")]
    assert unreachable(urls, seconds=5) == {}


def test_who_does_not(site: Site) -> None:
    silent, other, nowhere = site.url("hangs"), site.url("not_http"), "http://127.0.0.1:9/"
    start = time.monotonic()
    reasons = unreachable([silent, other, nowhere, site.url("good")], seconds=3)
    assert time.monotonic() - start < 30
    assert reasons.keys() == {silent, other, nowhere}
    assert reasons[silent].reason.startswith("no answer ")
    assert "refused" in reasons[nowhere].reason


def test_a_proxy_counts(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    (failed,) = unreachable([site.url("good")], seconds=5).values()
    assert "proxy" in failed.reason
