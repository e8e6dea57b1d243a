"""The text of many failed downloads."""

from __future__ import annotations

from cache.failures import failures, has_answered

DOWN = "no connection: Connection refused"
AGAIN = f"x.test is down ({DOWN}), not asked again"


def test_a_host_without_an_answer_is_named_once() -> None:
    reasons = {
        "1": {"http://x.test/a": AGAIN, "http://y.test/a": "HTTP 404 Not Found"},
        "2": {"http://x.test/b": DOWN, "wheel:b==1": "pip fails", "http://y.test/b": "HTTP 404"},
        "3": {"http://x.test/c": AGAIN, "http://x.test/d": AGAIN},
    }
    assert failures({"1": "a (1 byte)", "2": "b", "3": "c"}, reasons) == [
        f"  http://x.test: {DOWN}",
        "  a (1 byte)",
        "    http://y.test/a: HTTP 404 Not Found",
        "  b",
        "    wheel:b==1: pip fails",
        "    http://y.test/b: HTTP 404",
        "  c",
    ]


def test_a_host_that_answers_one_file_is_named_with_each() -> None:
    reasons = {"1": {"http://x.test/a": "cut"}, "2": {"http://x.test/b": DOWN}}
    assert failures({"1": "a", "2": "b"}, reasons) == [
        "  a",
        "    http://x.test/a: cut",
        "  b",
        f"    http://x.test/b: {DOWN}",
    ]


def test_one_file_has_all_its_urls() -> None:
    reasons = {"1": {"http://x.test/a": DOWN, "http://x.test/b": AGAIN}}
    assert len(failures({"1": "a"}, reasons)) == 3


def test_what_counts_as_an_answer() -> None:
    """A proxy that wants a password (407) is not the server."""
    told = ("HTTP 404 Not Found", "HTTP 410", "HTTP 407 Proxy", "HTTP 500", DOWN)
    assert [has_answered(reason) for reason in told] == [True, True, False, False, False]
