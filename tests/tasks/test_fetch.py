"""fetch: on the command line, from a server on loopback or without a server."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator

import pytest

from tasks.engine.records.events import read
from tests.cache.loopback import DATA, Site
from tests.tasks.test_doctor import lacking
from tests.tasks.toy import SCRIPTS, Checkout, doit

pytestmark = pytest.mark.namespace

DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


def archive(name: str) -> bytes:
    """A tar file with one member of that name."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(name))
    return out.getvalue()


PLAIN = archive("thing-1/file")


def entry(data: bytes, file: str, *urls: str) -> str:
    digest = hashlib.sha256(data).hexdigest()
    return f"{{sha256: {digest}, size: {len(data)}, file: {file}, urls: [{', '.join(urls)}]}}"


def with_sources(toy: Checkout, first: bytes, *urls: str) -> Checkout:
    """`bottom` is made of the archive `first`, which is in the cache, and of a file to fetch."""
    directory = toy.cache / "sources"
    directory.mkdir(parents=True)
    (directory / hashlib.sha256(first).hexdigest()).write_bytes(first)
    sources = f"[{entry(first, 'thing-1.tar', 'https://x.test/')}, {entry(DATA, 'data', *urls)}]"
    toy.recipe("bottom", "wc -c < /input/data > $share/bottom; ls > $share/ls", sources=sources)
    return toy


def test_a_source_comes_from_the_first_place_that_has_it(toy: Checkout, site: Site) -> None:
    with_sources(toy, PLAIN, *(site.url(name) for name in ("missing", "wrong", "html", "good")))
    toy.builds(*SCRIPTS)
    assert toy.tree("bottom", "usr/share/bottom").read_text() == f"{len(DATA)}\n"
    assert toy.tree("bottom", "usr/share/ls").read_text() == "file\n"
    assert site.asked["good"] == 1
    events, _ = read(toy.root / "work" / "events.jsonl")
    (fetched,) = (event for event in events if event["event"] == "fetched")
    assert (fetched["file"], fetched["size"]) == ("data", len(DATA))
    assert fetched["place"] in site.url("good")
    asked = site.asked.total()
    assert toy.doit("fetch").said == "fetch is up to date\n"
    assert toy.doit("fetch:bottom").said == "fetch:bottom is up to date\n"
    assert toy.doit("pkg", "offline=1").status == 0
    assert site.asked.total() == asked
    # Where it is found says nothing about what it is.
    toy.edit("plan/recipes/bottom.yaml", site.url("missing"), "https://elsewhere.test/data")
    toy.builds()


def two_packages(toy: Checkout, site: Site) -> None:
    """`bottom` and `top` have a source each."""
    with_sources(toy, PLAIN, site.url("good"))
    other = f"[{entry(DATA[:-1] + b'!', 'other', site.url('wrong'))}]"
    toy.recipe("top", "cat /input/other > $share/top", "left", "right", sources=other)


def test_a_package_fetches_what_its_steps_need(toy: Checkout, site: Site) -> None:
    two_packages(toy, site)
    assert toy.doit("pkg:bottom").status == 0
    assert (site.asked["good"], site.asked["wrong"]) == (1, 0)
    assert not (toy.root / "work" / "fetched" / "all.txt").exists()
    assert toy.doit("fetch").status == 0
    assert (site.asked["good"], site.asked["wrong"]) == (1, 1)
    assert (toy.root / "work" / "fetched" / "all.txt").exists()


@pytest.mark.fault(
    "a command needs the seed or one package, and no source is in the cache",
    "only what it needs is fetched",
)
def test_a_command_fetches_what_it_needs(toy: Checkout, site: Site) -> None:
    two_packages(toy, site)
    for words in (["seed"], ["shell", "run=true"], ["shell", "seed", "run=true"]):
        assert toy.doit(*words).status == 0
    assert site.asked.total() == 0
    assert toy.doit("shell", "pkg:bottom", "run=true").status == 0
    assert "no source file of bottom was edited" in toy.doit("patch", "pkg:bottom").said
    assert toy.doit("verify", "packages=bottom").status == 0
    assert dict(site.asked) == {"good": 1}


@pytest.mark.fault(
    "sources are not in the cache, but the store has all steps", "nothing is fetched"
)
def test_what_the_store_has_needs_no_source(toy: Checkout, site: Site) -> None:
    with_sources(toy, PLAIN, site.url("good"))
    toy.builds(*SCRIPTS)
    recipe = "plan/recipes/bottom.yaml"
    toy.edit(recipe, "ls > ", "ls >> ")
    toy.builds("bottom", "kernel")
    toy.edit(recipe, "ls >> ", "ls > ")
    (toy.cache / "sources" / DIGEST).unlink()
    asked = site.connections
    done = toy.doit("image")
    assert done.status == 0 and done.built == [] and "bottom" in done.from_store, done
    assert site.connections == asked


@pytest.mark.fault("no sandbox can be had on this machine", "it is said before the first download")
def test_the_sandbox_is_tried_before_the_first_download(toy: Checkout, site: Site) -> None:
    with_sources(toy, PLAIN, site.url("good"))
    done = lacking(toy, "echo 0 > /proc/sys/user/max_user_namespaces", doit("pkg"))
    assert done.status != 0 and "max_user_namespaces" in done.said, done
    assert site.connections == 0


def test_offline_never_asks(toy: Checkout, site: Site) -> None:
    with_sources(toy, PLAIN, site.url("good"))
    done = toy.doit("pkg", "offline=1")
    assert done.status != 0 and done.built == []
    assert "offline, and the cache lacks" in done.said and "data" in done.said
    assert "offline=1" in done.said and "Traceback" not in done.said
    assert site.connections == 0
    toy.builds(*SCRIPTS)


@pytest.mark.fault(
    "a wrong hash in a recipe",
    "each URL with the hash of its file; the recipe's line, and how to correct it",
)
def test_a_source_that_no_place_has_right(toy: Checkout, site: Site) -> None:
    with_sources(toy, PLAIN, site.url("wrong"), site.url("missing"), site.url("wrong/too"))
    done = toy.doit("pkg")
    assert done.status != 0 and done.built == [] and "Traceback" not in done.said
    assert f"its sha256 is {hashlib.sha256(DATA[:-1] + b'!').hexdigest()}" in done.said, done
    recipe = "plan/recipes/bottom.yaml"
    text = (toy.root / recipe).read_text()
    line = text[: text.index(DIGEST)].count("\n") + 1
    assert (
        f"{recipe}:{line}: 2 URLs have the same other file, so the pin is probably wrong; "
        "correct that entry, or doit bump pkg:bottom"
    ) in done.said, done
    assert "check the network" not in done.said
    for expected in (site.url("wrong"), site.url("missing"), "404", DIGEST[:8]):
        assert expected in done.said, done.said
    assert not (toy.cache / "sources" / DIGEST).exists()


@pytest.mark.parametrize(
    ("data", "messages"),
    [
        (PLAIN[:700], ["thing-1.tar", "it ends in the middle"]),
        (archive("../outside"), ["thing-1.tar", "../outside"]),
        (b"no archive at all" * 99, ["thing-1.tar"]),
    ],
    ids=["truncated", "reaches outside", "no archive"],
)
def test_a_bad_archive(toy: Checkout, site: Site, data: bytes, messages: list[str]) -> None:
    """Its hash is right, so it is the recipe that is wrong; what else can be built is built."""
    with_sources(toy, data, site.url("good"))
    toy.recipe("kernel", "mkdir /dest/boot; echo > /dest/boot/kernel.efi")
    toy.edit("plan/sets.yaml", "packages: [bottom, left, right, top]", "packages: []")
    done = toy.doit("pkg")
    assert done.status != 0 and "Traceback" not in done.said, done
    assert all(message in done.said for message in messages), done.said
    assert "pkg:kernel          built" in done.said
    assert not list(toy.root.rglob("outside"))
