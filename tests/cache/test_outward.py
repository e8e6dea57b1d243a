"""cache/outward.py: certificates and proxies of the environment; servers with a test CA."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cache.places import UrlFailed
from cache.reach import unreachable
from cache.sources import FetchFailed, fetch
from cache.web import Patience, Web
from plan.errors import BuildError
from tests.cache.loopback import DATA, Site, source

SECRET = "me:secret"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a certificate authority (`ca.pem`) and a server that it vouches for."""
    directory = tmp_path_factory.mktemp("ca")
    new = ("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    here = ("-subj", "/CN=here", "-addext", "subjectAltName=IP:127.0.0.1")
    for command in (
        (*new, "-x509", "-subj", "/CN=ours", "-keyout", "ca.key", "-out", "ca.pem"),
        (*new, *here, "-keyout", "here.key", "-out", "request.csr"),
        (
            *("openssl", "x509", "-req", "-in", "request.csr", "-CA", "ca.pem", "-CAkey"),
            *("ca.key", "-copy_extensions", "copy", "-out", "certificate.pem"),
        ),
        ("openssl", "rehash", "."),
    ):
        subprocess.run(command, cwd=directory, check=True, capture_output=True)
    parts = [(directory / name).read_bytes() for name in ("here.key", "certificate.pem")]
    (directory / "identity").write_bytes(b"".join(parts))
    return directory


@pytest.fixture
def secure(authority: Path) -> Iterator[Site]:
    made = Site(authority / "identity")
    yield made
    made.close()


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "NO_PROXY")
    for name in (*names, "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def web() -> Web:
    return Web(Patience(connect=5, read=5))


def failed(web: Web, url: str) -> UrlFailed:
    with pytest.raises(UrlFailed) as caught:
        web.get(url)
    return caught.value


def wrong(web: Web, url: str) -> BuildError:
    with pytest.raises(BuildError) as caught:
        web.get(url)
    return caught.value


@pytest.mark.fault(
    "a server whose certificate is of a CA of the network's own",
    "the variable that helps is named, and helps",
)
@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("SSL_CERT_FILE", "ca.pem"),
        ("SSL_CERT_DIR", "."),
        ("REQUESTS_CA_BUNDLE", "ca.pem"),
        ("CURL_CA_BUNDLE", "ca.pem"),
    ],
)
def test_a_ca_of_ones_own(
    secure: Site, authority: Path, name: str, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = secure.url("good")
    error = failed(Web(), url)
    assert "certificate verify failed" in error.reason and "SSL_CERT_FILE=FILE" in error.remedy
    with pytest.raises(FetchFailed) as caught:
        fetch([source(url)])
    assert "SSL_CERT_FILE=FILE" in str(caught.value.hint)
    lists = "/none:" if name == "SSL_CERT_DIR" else ""
    monkeypatch.setenv(name, f"{lists}{authority / file}")
    with Web().get(url) as response:
        assert response.raw.read() == DATA
    assert unreachable([url], seconds=5) == {}


@pytest.mark.fault(
    "a variable for certificates names no file, or one without certificates",
    "the variable, its value and the remedy",
)
@pytest.mark.parametrize(
    "name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"]
)
def test_no_certificates(
    secure: Site, site: Site, web: Web, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "/none")
    error = wrong(web, secure.url("good"))
    assert (error.message, error.where) == (
        f"{name} is wrong: there is no such file or directory",
        f"{name}=/none",
    )
    assert "/etc/ssl/certs/ca-certificates.crt" in str(error.hint)
    with pytest.raises(BuildError, match=name):
        fetch([source(secure.url("good"))])
    monkeypatch.setenv(name, "/" + "x" * 300)  # as one in a closed directory: stat(2) fails
    assert "it cannot be read: File name too long" in wrong(web, secure.url("good")).message
    monkeypatch.setenv(name, __file__)
    if name != "SSL_CERT_DIR":
        assert "has no certificates" in wrong(web, secure.url("good")).message


@pytest.mark.fault(
    "a proxy for SOCKS, or one that is no address",
    "the variable, and what it may be; no password is shown",
)
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("ALL_PROXY", "socks5h://me:secret@127.0.0.1:1080", "names a socks5h proxy, which is"),
        ("all_proxy", "socks4://127.0.0.1:1080", "names a socks4 proxy, which is not"),
        ("http_proxy", "http://me:secret@127.0.0.1:port", "is not the address of a proxy"),
        ("http_proxy", "me:secret@[::1", "is not the address of a proxy"),
        ("HTTP_PROXY", "http://", "is not the address of a proxy"),
        ("http_proxy", "http://proxy example:3128", "is not the address of a proxy"),
    ],
)
def test_a_proxy_that_cannot_be(
    site: Site, web: Web, name: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    error = wrong(web, site.url("good"))
    assert error.message.startswith(f"{name} {message}")
    assert "http://HOST:PORT" in str(error.hint) and f"unset {name}" in str(error.hint)
    assert SECRET not in str(error)
    with pytest.raises(BuildError, match=name):
        unreachable([site.url("good")], seconds=5)


@pytest.mark.fault(
    "a proxy: its name does not resolve, it refuses, it wants to know who asks",
    "the proxy, its variable and the remedy; no password is shown",
)
@pytest.mark.parametrize(
    ("proxy", "url", "reason", "remedy"),
    [
        ("http://me:secret@no.invalid:3128", "http://x.test/", "does not resolve", "no_proxy="),
        ("http://me:secret@127.0.0.1:9", "http://x.test/", "Connection refused", "no_proxy="),
        ("http://me:secret@127.0.0.1:9", "https://x.test/", "Connection refused", "no_proxy="),
        ("SITE", "https://x.test/", "407", "USER:PASSWORD"),
        ("SITE", "http://wants_user/", "HTTP 407", "USER:PASSWORD"),
    ],
)  # fmt: skip
def test_a_proxy_that_fails(
    site: Site, web: Web, proxy: str, url: str, reason: str, remedy: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    name = f"{url.partition(':')[0]}_proxy"
    monkeypatch.setenv(name, proxy.replace("SITE", f"http://me:secret@127.0.0.1:{site.port}"))
    error = failed(web, url)
    assert reason in error.reason and remedy in error.remedy
    assert reason == "HTTP 407" or f"the proxy fails ({name}=" in error.reason
    assert SECRET not in error.reason + error.remedy + "".join(web.news())


@pytest.mark.parametrize("spared", ["127.0.0.1", "x.test, 127.0.0.1", "127.0.0.0/8", "*"])
@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9"])
def test_a_host_that_is_spared(
    site: Site, web: Web, spared: str, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    monkeypatch.setenv("NO_PROXY", spared)
    with web.get(site.url("good")) as response:
        assert response.raw.read() == DATA
