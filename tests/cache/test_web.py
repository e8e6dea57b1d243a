"""cache/web.py: answers, redirects, dead hosts, proxies."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from cache.places import UrlFailed
from cache.remote import Remote
from cache.unknown import fetch_unknown
from cache.web import Patience, Web, redirected
from plan.errors import BuildError
from tests.cache.loopback import DATA, Site

QUICK = Patience(connect=2, read=2)  # what answers at once does so in this time


@pytest.fixture
def web() -> Web:
    return Web(Patience(connect=10, read=10))


def refused(web: Web, url: str) -> UrlFailed:
    with pytest.raises(UrlFailed) as caught:
        web.get(url)
    return caught.value


@pytest.mark.fault("a server that says gzip, or redirects", "the bytes as they were sent")
@pytest.mark.parametrize("name", ["good", "moved", "says_gzip"])
def test_the_body_is_there_to_be_read_as_sent(site: Site, web: Web, name: str) -> None:
    with web.get(site.url(name)) as response:
        assert response.raw.read(decode_content=False) == DATA
    assert site.headers[-1]["accept-encoding"] == "identity"


@pytest.mark.fault(
    "a server: missing, busy, loops, redirects to a file, to nonsense, endlessly, no HTTP",
    "its reason in words",
)
@pytest.mark.parametrize(
    ("name", "reason", "again"),
    [
        ("missing", "HTTP 404 Not Found", False),
        ("busy_once", "HTTP 503 Service Unavailable", True),
        ("loops", "redirects more than 10 times", False),
        ("to_file", "redirects to file:///etc/hostname, which is not http or https", False),
        ("redirects_endlessly", "HTTP 404 Not Found", False),
        ("to_nonsense", "redirects to http://[::1/x, which is not http or https", False),
        ("not_http", "cut connection", True),
    ],
)
def test_refusals(site: Site, web: Web, name: str, reason: str, again: bool) -> None:
    error = refused(web, site.url(name))
    assert error.reason.startswith(reason)
    assert error.again is again


@pytest.mark.parametrize("name", ["missing", "missing_chunked"])
def test_what_is_missing_keeps_the_connection(site: Site, web: Web, name: str) -> None:
    """A shared cache is asked for each step, and may have none of them."""
    for _ in range(20):
        assert refused(web, site.url(name)).status == 404
    assert site.connections == 1


@pytest.mark.fault(
    "a server whose page about a missing file is huge, trickles or does not come",
    "the page is dropped; the answer is that the file is missing",
)
@pytest.mark.parametrize("name", ["missing_at_length", "missing_trickles", "missing_hangs"])
def test_a_page_about_what_is_missing_costs_little(site: Site, name: str) -> None:
    start = time.monotonic()
    assert refused(Web(QUICK), site.url(name)).reason == "HTTP 404 Not Found"
    assert time.monotonic() - start < 30


@pytest.mark.fault(
    "a body that is cut off, or stops in the middle",
    "told as a cut connection by whoever reads it; what shared caches lack is built here",
)
@pytest.mark.parametrize("name", ["cut", "cut_chunked", "hangs_midway"])
def test_a_body_that_ends_too_early(site: Site, tmp_path: Path, name: str) -> None:
    url = site.url(name)
    web = Web(QUICK)
    with web.get(url) as response, pytest.raises(UrlFailed, match="cut connection"):
        while web.read(response, 1 << 16):
            pass
    above, _, path = url.rpartition("/")
    with pytest.raises(UrlFailed, match="cut connection"):
        for _ in Remote(above, Web(QUICK)).read(path):
            pass
    if name != "hangs_midway":  # its patience is that of a download
        with pytest.raises(BuildError, match="cannot be fetched: cut connection"):
            fetch_unknown(url, tmp_path)


@pytest.mark.fault(
    "a shared cache that sends a record, a listing or a page about a missing file byte by byte",
    "given up after the patience, as a slow download is",
)
@pytest.mark.parametrize("name", ["trickles", "trickles_without_length", "chunk_trickles"])
def test_a_body_that_trickles(site: Site, name: str) -> None:
    web, start = Web(QUICK), time.monotonic()
    with web.get(site.url(name)) as response, pytest.raises(UrlFailed, match="too slow: "):
        web.read(response, 1 << 20)
    if name != "chunk_trickles":  # its first half is more than a record
        with pytest.raises(UrlFailed, match="too slow: "):
            Remote(site.url(name), Web(QUICK)).claim("a" * 64, "b" * 64)
    assert time.monotonic() - start < 30


def test_a_page_whose_end_trickles(site: Site) -> None:
    start = time.monotonic()
    assert refused(Web(QUICK), site.url("missing_chunk_trickles")).status == 404
    assert time.monotonic() - start < 30


@pytest.mark.fault(
    "a server that answers with a part of the file, and nobody asked for a part",
    "a failure; nothing is kept",
)
def test_a_part_is_not_the_file(site: Site, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="cannot be fetched: HTTP 206"):
        fetch_unknown(site.url("always_partial"), tmp_path)
    assert refused(Web(QUICK), site.url("always_416")).status == 416


@pytest.mark.fault(
    "a server that takes the request and does not answer",
    "given up after the patience",
)
def test_silence(site: Site) -> None:
    error = refused(Web(QUICK), site.url("hangs"))
    assert error.reason == "no answer for 2 s"
    assert not error.again


def test_redirects_are_counted(site: Site, web: Web) -> None:
    refused(web, site.url("loops"))
    assert site.asked["loops"] == 11


def test_a_range_is_asked_for_and_survives_a_redirect(site: Site, web: Web) -> None:
    with web.get(site.url("moved"), start=1000) as response:
        assert response.status_code == 206
        assert response.raw.read(decode_content=False) == DATA[1000:]
    assert site.ranges == ["bytes=1000-", "bytes=1000-"]


@pytest.mark.fault(
    "a server redirects to a URL of its own that looks like one of another host, or to http",
    "it does not get the headers of that host; from https to http of one host: refused",
)
def test_headers_go_to_their_host_only(site: Site) -> None:
    refused(
        Web(QUICK, {"example.org": {"Authorization": "Bearer s3cret"}}), site.url("to_another_host")
    )
    assert site.asked == {"to_another_host": 1, "": 1}
    assert not any("authorization" in headers for headers in site.headers)
    assert redirected("https://a/x", "http://b/x") == "http://b/x"
    with pytest.raises(UrlFailed, match="redirects from https to http"):
        redirected("https://a/x", "http://me:secret@A:80/y")


@pytest.mark.fault(
    "a server redirects to http, to a host that has headers or a password in .netrc",
    "refused: all on the way could read them",
)
def test_no_password_goes_where_nobody_asked(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = f"localhost:{site.port}"
    told = f"redirects to http://{host}/good: http, where a password would be sent"
    refused_by = Web(QUICK, {host: {"Authorization": "Bearer s3cret"}})
    assert refused(refused_by, site.url("to_localhost")).reason == told
    with refused_by.get(f"http://{host}/good"):  # a person named this one
        pass
    assert [headers.get("authorization") for headers in site.headers] == [None, "Bearer s3cret"]
    with Web(QUICK).get(site.url("to_localhost")):
        pass
    (tmp_path / "netrc").write_text("machine localhost login me password s3cret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert refused(Web(QUICK), site.url("to_localhost")).reason == told


def test_what_no_hash_checks_stays_with_https(site: Site) -> None:
    assert Web()._followed("https://a/x", "http://b/x") == "http://b/x"
    with pytest.raises(UrlFailed, match="redirects from https to http"):
        Web(unchecked=True)._followed("https://a/x", "http://b/x")


@pytest.mark.fault(
    "a URL that is none: a bracket that is not closed, a port above 65535, a space",
    "one error with the reason",
)
@pytest.mark.parametrize("url", ["https://[::1/x", "http://h:99999/x", "http://a b/x"])
def test_what_is_no_url(web: Web, url: str) -> None:
    assert "not a usable answer" in refused(web, url).reason


@pytest.mark.fault("a server that refuses connections", "not asked again in this run")
def test_a_host_that_refuses_is_asked_once(web: Web) -> None:
    with socket.socket() as unused:  # bound, never listening: nobody else gets this port
        unused.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{unused.getsockname()[1]}"
        assert refused(web, f"http://{host}/a").reason == "no connection: Connection refused"
    with socket.create_server(("127.0.0.1", int(host.split(":")[1]))):
        again = refused(web, f"http://me:secret@{host}/b").reason
    assert again == f"{host} is down (no connection: Connection refused), not asked again"
    assert web.news() == [f"{host} is not asked again: no connection: Connection refused"]
    assert web.news() == []


def test_an_error_says_nothing_of_the_one_before_it(web: Web) -> None:
    """Whoever asks because something failed asks while that error is being handled."""
    try:
        raise BuildError("the error before")
    except BuildError:
        failed = refused(web, "http://127.0.0.1:9/a")
    assert failed.reason == "no connection: Connection refused"


@pytest.mark.fault("a host name that does not resolve", "said so; not asked again")
def test_a_name_that_does_not_resolve_is_said_so(web: Web) -> None:
    assert refused(web, "http://nowhere.invalid/a").reason == "its name does not resolve"
    assert "not asked again" in refused(web, "http://nowhere.invalid/b").reason


@pytest.mark.fault("a server that takes no connection", "given up after the patience")
def test_a_host_that_takes_no_connection_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        # A backlog of nothing still holds one connection: then the kernel drops what comes.
        with socket.create_connection(("127.0.0.1", port)):
            assert (
                refused(Web(QUICK), f"http://127.0.0.1:{port}/").reason == "no connection in time"
            )


@pytest.mark.fault(
    "a server that is silent twice", "not asked a third time, unless it answered in between"
)
def test_a_silent_host_gets_a_second_chance_but_no_third(site: Site) -> None:
    web = Web(Patience(connect=10, read=2))
    for _ in range(2):
        refused(web, site.url("hangs"))
        with web.get(site.url("good")):
            pass
    refused(web, site.url("hangs"))
    refused(web, site.url("hangs"))
    assert "does not answer" in refused(web, site.url("good")).reason
    assert site.asked == {"hangs": 4, "good": 2}


@pytest.mark.fault("a server without TLS under https", "said so")
def test_a_server_without_tls_is_named_so(site: Site, web: Web) -> None:
    assert refused(web, site.url("good").replace("http:", "https:")).reason.startswith("TLS fails")


def test_the_proxy_of_the_environment_is_used(
    site: Site, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{site.port}")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with web.get("http://good/whatever") as response:
        assert response.raw.read() == DATA
    assert site.asked == {"good": 1}


def test_connections_are_used_again(site: Site, web: Web) -> None:
    for _ in range(5):
        with web.get(site.url("good")) as response:
            while response.raw.read1(1 << 16, decode_content=False):
                pass
    assert site.connections == 1
