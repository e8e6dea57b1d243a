"""cache/download.py: each way in which a server can be wrong, and what is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cache.download import Stopped, download
from cache.partial import Partial, locked
from cache.places import UrlFailed
from cache.web import Patience, Web
from tests.cache.loopback import DATA, HALF, HTML, NONSENSE, Site, source

SOURCE = source()
SIZE = len(DATA)
HURRIED = Patience(read=1)
CALM = Patience()
HANGING = ("hangs_midway", "trickles", "header_trickles", "chunk_trickles")


def web_for(name: str) -> Web:
    """Short of patience only where that is what is tested: a busy machine is slow too."""
    return Web(HURRIED if name in HANGING else CALM)


def ignore(size: int) -> None:
    pass


@contextmanager
def opened(
    path: Path, *, size: int = SIZE, count: Callable[[int], None] = ignore
) -> Iterator[Partial]:
    def never() -> None:
        raise AssertionError("the file should have been free")

    with locked(path, SOURCE.sha256, size, count=count, wait=never) as partial:
        yield partial


@pytest.mark.fault(
    "a partial file with wrong bytes, HTML or too much; a mirror without ranges, or that lies",
    "the right file in the end",
)
@pytest.mark.parametrize(
    "name",
    [
        "good",
        "ignores_range",
        "refuses_range",
        "lies_about_range",
        "says_gzip",
        "slow",
        "chunked",
        "until_close",
        "moved",
        "etag",
    ],
)
@pytest.mark.parametrize(
    "there",
    [
        pytest.param(b"", id="from-zero"),
        pytest.param(DATA[:HALF], id="resumed"),
        pytest.param(bytes(HALF), id="resumed-on-wrong-bytes"),
        pytest.param(HTML, id="resumed-on-html"),
        pytest.param(DATA[:-1] + b"!", id="wrong-of-right-length"),
        pytest.param(DATA + DATA, id="too-long"),
    ],
)
def test_places_that_give_the_file(site: Site, tmp_path: Path, name: str, there: bytes) -> None:
    (tmp_path / "x").write_bytes(there)
    with opened(tmp_path / "x") as partial:
        download(web_for(name), site.url(name), partial)
        assert partial.complete()
    assert (tmp_path / "x").read_bytes() == DATA


def test_a_resumed_download_asks_for_the_rest_only(site: Site, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(DATA[:HALF])
    with opened(tmp_path / "x") as partial:
        download(Web(CALM), site.url("good"), partial)
    assert site.ranges == [f"bytes={HALF}-"]


@pytest.mark.fault("wrong bytes from an earlier place", "fetched once more, from zero")
def test_wrong_bytes_from_before_cost_one_more_try(site: Site, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(HALF))
    with opened(tmp_path / "x") as partial:
        download(Web(CALM), site.url("good"), partial)
    assert site.ranges == [f"bytes={HALF}-", ""]


FAILURES = {
    # name: the reason, how many bytes stay
    "missing": ("HTTP 404 Not Found", 0),
    "html": (f"an HTML page instead of {SIZE} bytes", 0),
    "html_chunked": ("an HTML page instead of the file", 0),
    "html_of_right_length": ("an HTML page instead of the file", 0),
    "html_cut": (f"cut connection after {len(HTML)} of {SIZE} bytes", 0),
    "wrong": ("another file: its sha256 is ", 0),
    "longer": (f"{SIZE + 4} bytes instead of {SIZE} bytes", 0),
    "shorter": (f"{SIZE - 1} bytes instead of {SIZE} bytes", 0),
    "shorter_chunked": (f"{SIZE - 1} bytes instead of {SIZE}", 0),
    "endless": (f"more instead of {SIZE} bytes", 0),
    "cut": (f"cut connection after {HALF} of {SIZE} bytes", HALF),
    "cut_chunked": (f"cut connection after {HALF} of {SIZE} bytes", HALF),
    "hangs_midway": (f"stalls after {HALF} of {SIZE} bytes: nothing for 1 s", HALF),
    "trickles": ("stalls after ", None),
    "header_trickles": ("no answer for ", 0),
    "chunk_trickles": (f"stalls after {HALF} of {SIZE} bytes: {HALF} bytes in 2 s", HALF),
    "loops": ("redirects more than 10 times", 0),
    "to_file": ("redirects to file:///etc/hostname, which is not http or https", 0),
    "gzips": (f"bytes instead of {SIZE} bytes (unexpected Content-Encoding gzip)", 0),
    "gzips_chunked": ("(unexpected Content-Encoding gzip)", 0),
    "always_partial": ("HTTP 206 Partial Content", 0),
    "not_http": ("cut connection: ", 0),
}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.fault(f"a mirror: {name.replace('_', ' ')}", reason))
        for name, (reason, _) in FAILURES.items()
    ],
)
def test_places_that_do_not(site: Site, tmp_path: Path, name: str) -> None:
    reason, stays = FAILURES[name]
    path = tmp_path / "x"
    with pytest.raises(UrlFailed) as caught, opened(path) as partial:
        download(web_for(name), site.url(name), partial)
    assert reason in caught.value.reason
    assert not (tmp_path / "kept").exists()
    if stays is not None:
        assert (path.stat().st_size if path.exists() else 0) == stays


@pytest.mark.fault(
    "a server whose Content-Length, Content-Range, Location or Retry-After makes no sense "
    "(5000 digits, negative, other scripts, control characters)",
    "the place fails by name, in words that a terminal may show, and the next one is asked",
)
@pytest.mark.parametrize("there", [b"", DATA[:HALF]], ids=["from-zero", "resumed"])
@pytest.mark.parametrize("size", [SIZE, 0], ids=["known", "unknown"])
@pytest.mark.parametrize("name", NONSENSE)
def test_headers_that_make_no_sense(
    site: Site, tmp_path: Path, name: str, size: int, there: bytes
) -> None:
    (tmp_path / "x").write_bytes(there)
    with pytest.raises(UrlFailed) as caught, opened(tmp_path / "x", size=size) as partial:
        download(Web(CALM), site.url(f"nonsense/{name}"), partial)
    assert caught.value.reason.isprintable() and len(caught.value.reason) < 400


@pytest.mark.fault("a wrong answer after half a file came from elsewhere", "the half is kept")
@pytest.mark.parametrize(
    "name", ["missing", "html", "longer", "shorter", "loops", "always_partial"]
)
def test_a_wrong_place_does_not_cost_what_another_gave(
    site: Site, tmp_path: Path, name: str
) -> None:
    (tmp_path / "x").write_bytes(DATA[:HALF])
    with pytest.raises(UrlFailed), opened(tmp_path / "x") as partial:
        download(web_for(name), site.url(name), partial)
    assert (tmp_path / "x").read_bytes() == DATA[:HALF]


@pytest.mark.fault("a mirror with another file", "asked once")
def test_a_wrong_file_is_not_asked_for_twice(site: Site, tmp_path: Path) -> None:
    with pytest.raises(UrlFailed), opened(tmp_path / "x") as partial:
        download(Web(CALM), site.url("wrong"), partial)
    assert site.asked["wrong"] == 1


@pytest.mark.fault("a download that is stopped", "what came is kept")
def test_stopping_keeps_what_came(site: Site, tmp_path: Path) -> None:
    web = Web(CALM)
    with (
        pytest.raises(Stopped),
        opened(tmp_path / "x", count=lambda size: web.stop.set()) as partial,
    ):
        download(web, site.url("slow"), partial)
    there = (tmp_path / "x").read_bytes()
    assert 0 < len(there) < SIZE
    assert DATA.startswith(there)
