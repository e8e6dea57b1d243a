"""cache/sources.py: fetching a source into the cache, and every possible failure."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cache import paths
from cache.partial import locked
from cache.progress import Silent
from cache.sources import FetchFailed, cached, fetch
from cache.web import Patience, Web
from plan.errors import BuildError
from plan.model import Source
from tests.cache.loopback import DATA, HALF, HTML, Site, source

ROOT = Path(__file__).parents[2]
CALM = Patience(connect=10, read=10, pause=0.01)


def get(*sources: Source, **options: object) -> dict[str, Path]:
    """fetch without this machine's apt configuration and without long pauses."""
    settings = {"web": Web(CALM), "apt_root": Path("/nonexistent"), **options}
    return fetch(sources, **settings)  # type: ignore[arg-type]


class Told(Silent):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.began = (0, 0)
        self.size = 0
        self.urls: dict[str, str] = {}
        self.notes: list[str] = []
        self.ended = False

    def begin(self, files: int, size: int) -> None:
        self.began = (files, size)

    def add(self, size: int) -> None:
        self.size += size

    def done(self, file: str, size: int, origin: str) -> None:
        self.urls[file] = origin

    def note(self, text: str) -> None:
        self.notes.append(text)

    def end(self) -> None:
        self.ended = True


def test_a_source_is_fetched_kept_and_found_again(site: Site, cache_root: Path) -> None:
    wanted = source(site.url("good"))
    assert cached(wanted) is None
    told = Told()
    path = cache_root / "sources" / wanted.sha256
    assert get(wanted, wanted, progress=told) == {wanted.sha256: path}
    assert path.read_bytes() == DATA
    assert path.stat().st_mode & 0o777 == 0o444
    assert cached(wanted) == path
    assert list((cache_root / "sources/partial").iterdir()) == []
    assert (told.began, told.size, told.ended) == ((1, len(DATA)), len(DATA), True)
    assert told.urls == {wanted.file: wanted.urls[0]}
    assert get(wanted) == {wanted.sha256: path}
    assert site.asked == {"good": 1}


def test_a_source_of_unknown_size_is_known_by_its_hash(site: Site) -> None:
    def unknown(*names: str) -> Source:
        return replace(source(*map(site.url, names)), size=0)

    assert cached(unknown("good")) is None
    # One place has something else of some length, one does not say how long it is.
    wanted = unknown("html", "chunked", "good")
    path = get(wanted)[wanted.sha256]
    assert path.read_bytes() == DATA
    assert cached(wanted) == path
    path.unlink()
    with pytest.raises(FetchFailed, match="its size is unknown, and the server states none"):
        get(unknown("chunked"))


@pytest.mark.fault(
    "a source of unknown size, whose first server states a wrong one and hangs up",
    "the next server's word counts for its own file",
)
def test_a_wrong_size_is_forgotten(site: Site) -> None:
    wanted = replace(source(*map(site.url, ("cut_and_larger", "good"))), size=0)
    assert get(wanted)[wanted.sha256].read_bytes() == DATA


def test_places_are_tried_in_turn(site: Site) -> None:
    names = ["missing", "html", "wrong", "cut", "hangs", "endless", "good", "slow"]
    wanted = source(*map(site.url, names))
    told = Told()
    get(wanted, progress=told, web=Web(Patience(read=1)))
    assert told.urls == {wanted.file: site.url("good")}
    assert told.size == len(DATA)
    assert site.asked["slow"] == 0


def test_a_place_goes_on_where_another_was_cut(site: Site) -> None:
    get(source(site.url("cut"), site.url("good")))
    assert site.ranges == ["", f"bytes={HALF}-"]


@pytest.mark.fault(
    "a server that answers a resumed download with a range of huge numbers",
    "the next place is asked, and goes on where the first one stopped",
)
def test_nonsense_of_one_place_does_not_end_the_fetch(site: Site) -> None:
    urls = [site.url(name) for name in ("cut", "nonsense/range-huge", "good")]
    get(source(*urls))
    assert site.ranges[-1] == f"bytes={HALF}-"


def test_half_of_a_wrong_file_does_not_spoil_the_right_one(site: Site) -> None:
    get(source(site.url("wrong_cut"), site.url("good")))
    assert site.ranges == ["", f"bytes={HALF}-", ""]


@pytest.mark.parametrize("name", ["cut_once", "busy_once"])
def test_the_only_place_is_asked_again_when_that_may_help(site: Site, name: str) -> None:
    get(source(site.url(name)))
    assert site.asked[name] == 2


def test_the_error_names_every_source_and_place(site: Site, cache_root: Path) -> None:
    good = source(site.url("good"), file="good.tar")
    bad = [
        source(*map(site.url, ("missing", "html", "cut")), data=DATA + b"1", file="one.tar"),
        source(
            site.url("wrong"),
            "debian:pool/main/t/thing.tar",
            site.url("to_file").replace("//", "//me:secret@"),
            data=DATA + b"2",
            file="two.tar",
        ),
    ]
    with pytest.raises(FetchFailed) as caught:
        get(bad[0], good, bad[1], jobs=2)
    text = str(caught.value)
    lines = [line.strip() for line in text.splitlines()]
    size = len(DATA) + 1
    for expected in (
        "2 of the sources could not be fetched",
        f"one.tar (sha256 {bad[0].sha256}, {size} bytes)",
        f"{site.url('missing')}: HTTP 404 Not Found",
        f"{site.url('html')}: an HTML page instead of {size} bytes",
        f"{site.url('cut')}: {len(DATA)} bytes instead of {size} bytes",
        f"two.tar (sha256 {bad[1].sha256}, {size} bytes)",
        f"{site.url('wrong')}: {len(DATA)} bytes instead of {size} bytes",
        "debian:pool/main/t/thing.tar: apt has no Debian archive here, and mirror= is not set",
        f"{site.url('to_file')}: redirects to file:///etc/hostname, which is not http or https",
    ):
        assert expected in lines
    assert "secret" not in text
    assert caught.value.reasons[bad[0].sha256][site.url("missing")] == "HTTP 404 Not Found"
    assert sorted(entry.name for entry in (cache_root / "sources").iterdir()) == sorted(
        [good.sha256, "partial"]
    )


@pytest.mark.fault(
    "a source that no URL has", "the network is named as the cause only if no URL has another file"
)
@pytest.mark.parametrize(
    ("name", "data", "is_network"),
    [
        ("missing", DATA, True),
        ("html", DATA, True),
        ("wrong_cut", DATA, True),
        ("wrong", DATA, False),
        ("good", DATA + b"more", False),
    ],
)
def test_the_network_is_blamed_where_it_can_be_the_cause(
    site: Site, name: str, data: bytes, is_network: bool
) -> None:
    wanted = source(site.url(name), data=data)
    with pytest.raises(FetchFailed) as caught:
        get(wanted)
    assert ("check the network" in str(caught.value)) == is_network
    assert bool(caught.value.others) != is_network


def test_a_failure_does_not_stop_a_shared_web(site: Site) -> None:
    web = Web(CALM)
    with pytest.raises(FetchFailed):
        get(source(site.url("missing")), web=web)
    get(source(site.url("good")), web=web)


@pytest.mark.fault(
    "a file in the cache that this user cannot write, while steps come from a shared cache",
    "one step is passed over; the others are taken",
)
def test_an_error_of_one_file_does_not_stop_a_shared_web(site: Site) -> None:
    web, bad = Web(CALM), source(site.url("good"), data=DATA + b"1")
    paths.directory("sources/partial")
    (paths.directory("sources/partial") / bad.sha256).mkdir()
    with pytest.raises(BuildError, match="Is a directory"):
        get(bad, web=web)
    get(source(site.url("good")), web=web)


def test_a_dead_host_costs_one_attempt_for_all(site: Site) -> None:
    dead = "http://nowhere.invalid/x"
    sources = [source(dead, site.url(f"missing/{n}"), data=b"%d" % n) for n in range(30)]
    told = Told()
    with pytest.raises(FetchFailed) as caught:
        get(*sources, progress=told, jobs=1)
    said = [reasons[dead] for reasons in caught.value.reasons.values()]
    assert said.count("its name does not resolve") == 1
    assert sum("not asked again" in reason for reason in said) == 29
    assert told.notes == ["nowhere.invalid is not asked again: its name does not resolve"]


def test_a_pool_path_comes_from_the_mirror_or_from_apt(site: Site, tmp_path: Path) -> None:
    wanted = source("debian:pool/main/t/thing+1.tar.gz")
    apt = tmp_path / "etc/apt/sources.list"
    apt.parent.mkdir(parents=True)
    apt.write_text(f"deb {site.url('missing/debian')} trixie main\n", encoding="utf-8")
    with pytest.raises(FetchFailed) as caught:
        get(wanted, apt_root=tmp_path)
    assert list(caught.value.reasons[wanted.sha256]) == [
        site.url("missing/debian/pool/main/t/thing%2B1.tar.gz")
    ]
    told = Told()
    get(wanted, apt_root=tmp_path, mirror=site.url("good/debian/"), progress=told)
    assert list(told.urls.values()) == [site.url("good/debian/pool/main/t/thing%2B1.tar.gz")]


@pytest.mark.parametrize(
    ("options", "place", "message"),
    [
        ({}, "ftp://example.org/x", "the kind of the URL"),
        ({"mirror": "nonsense"}, "https://example.org/x", "not an http or https URL"),
    ],
)
def test_settings_are_checked_before_anything_is_asked(
    options: dict[str, str], place: str, message: str
) -> None:
    with pytest.raises(BuildError, match=message):
        get(source(place), **options)


DAMAGE: list[Callable[[Path], object]] = [
    lambda path: path.write_bytes(DATA[:-1]),
    lambda path: path.write_bytes(DATA[:-1] + b"!"),
    lambda path: path.write_bytes(b""),
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_found_and_mended(site: Site, damage: Callable[[Path], object]) -> None:
    wanted = source(site.url("good"))
    path = get(wanted)[wanted.sha256]
    path.chmod(0o600)
    damage(path)
    assert get(wanted, verify=True) == {wanted.sha256: path}
    assert path.read_bytes() == DATA
    assert site.asked == {"good": 2}


def test_a_wrong_size_is_seen_without_reading(site: Site) -> None:
    wanted = source(site.url("good"))
    path = get(wanted)[wanted.sha256]
    path.chmod(0o600)
    path.write_bytes(DATA[:-1])
    assert cached(wanted) is None
    assert get(wanted)[wanted.sha256].read_bytes() == DATA


def test_stopping_from_another_thread(site: Site, cache_root: Path) -> None:
    web = Web(Patience(read=30))
    threading.Timer(0.2, web.stop.set).start()
    began = time.monotonic()
    with pytest.raises(BuildError, match="stopped"):
        get(source(site.url("very_slow")), web=web)
    assert time.monotonic() - began < 20


def test_whatever_ends_it_ends_its_threads(site: Site, cache_root: Path) -> None:
    class Interrupted(Silent):
        def add(self, size: int) -> None:
            raise KeyboardInterrupt

    busy = source(site.url("trickles"))
    waiting = source(site.url("good"), data=DATA + b"1")
    path = paths.directory("sources/partial") / waiting.sha256
    with (
        locked(path, waiting.sha256, waiting.size, count=print, wait=lambda: None),
        pytest.raises(KeyboardInterrupt),
    ):
        get(busy, waiting, progress=Interrupted(), web=Web(Patience(read=30)))
    until(lambda: all(thread.name != "fetch" for thread in threading.enumerate()))


# What needs a process of its own: each script says "done" when all went well.

PRELUDE = """
import signal
import sys
from pathlib import Path
from cache.sources import fetch
from cache.web import Patience, Web
from plan.model import Source

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it

def get(*places, offline=False):
    wanted = Source({sha256!r}, {size}, "thing.tar.gz", places)
    web = Web(Patience(pause=0.01))
    return fetch([wanted], offline=offline, web=web, apt_root=Path("/nonexistent"))
"""


def start(script: str) -> subprocess.Popen[str]:
    wanted = source()
    prelude = PRELUDE.format(sha256=wanted.sha256, size=wanted.size)
    return subprocess.Popen(
        [sys.executable, "-c", prelude + script],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    output, errors = process.communicate(timeout=60)
    return process.returncode, output, errors


def until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.01)


OFFLINE = """
seen = []
sys.addaudithook(lambda event, arguments: seen.append(event))
try:
    get("http://127.0.0.1:{port}/good", "wheel:doit==0.37.0", offline=True)
    print("done")
except Exception as error:
    print(error)
print([e for e in seen if e.startswith(("socket.", "subprocess.", "os.fork", "os.posix_spawn"))])
print("requests" in sys.modules)
"""


def test_offline_opens_no_socket(site: Site, cache_root: Path) -> None:
    wanted = source(site.url("good"))
    status, output, errors = finish(start(OFFLINE.format(port=site.port)))
    assert (status, errors) == (0, "")
    assert "offline, and the cache lacks\n  thing.tar.gz (sha256 " + wanted.sha256 in output
    assert "run it once without offline=1" in output
    assert output.splitlines()[-2:] == ["[]", "False"]
    assert not cache_root.exists()
    get(wanted)
    assert finish(start(OFFLINE.format(port=site.port)))[1] == "done\n[]\nFalse\n"
    assert site.asked == {"good": 1}


def test_two_processes_share_one_download(site: Site, cache_root: Path) -> None:
    script = f'get("{site.url("slow")}"); print("done")'
    both = [start(script) for _ in range(2)]
    assert [finish(process)[:2] for process in both] == [(0, "done\n"), (0, "done\n")]
    assert site.asked == {"slow": 1}
    assert (cache_root / "sources" / source().sha256).read_bytes() == DATA


def begun(cache_root: Path) -> bool:
    partial = cache_root / "sources/partial" / source().sha256
    return partial.exists() and partial.stat().st_size >= HALF


def test_after_kill_9_the_next_run_goes_on(site: Site, cache_root: Path) -> None:
    process = start(f'get("{site.url("very_slow")}")')
    until(lambda: begun(cache_root))
    process.kill()
    finish(process)
    assert cached(source()) is None
    get(source(site.url("good")))
    assert site.ranges == ["", f"bytes={HALF}-"]


def test_killed_between_the_last_byte_and_the_name(site: Site, cache_root: Path) -> None:
    partial = cache_root / "sources/partial" / source().sha256
    partial.parent.mkdir(parents=True)
    partial.write_bytes(DATA)
    told = Told()
    get(source(site.url("good")), progress=told)
    assert told.urls == {source().file: "an earlier run"}
    assert not site.asked


def test_an_interrupt_ends_it_at_once(site: Site, cache_root: Path) -> None:
    process = start(f'get("{site.url("very_slow")}")')
    until(lambda: begun(cache_root))
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    status, _, errors = finish(process)
    assert time.monotonic() - began < 20
    assert status == -signal.SIGINT
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert begun(cache_root)


FULL = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    get("{url}")
except Exception as error:
    print(type(error).__name__, error)
"""


def test_a_full_disk_ends_it_with_the_remedy(site: Site) -> None:
    status, output, errors = finish(start(FULL.format(url=site.url("good"))))
    assert (status, errors) == (0, "")
    assert output.startswith("BuildError")
    assert "File too large" in output
    assert "BQ2_CACHE" in output


def test_an_html_page_is_right_when_it_is_the_source(site: Site) -> None:
    wanted = source(site.url("html"), data=HTML, file="page.html")
    assert get(wanted)[wanted.sha256].read_bytes() == HTML


def test_loading_costs_no_heavy_import() -> None:
    """Start-up time: the up-to-date run has half a second for everything."""
    script = "import sys, cache.sources; print({'requests', 'tqdm', 'urllib3'} & {*sys.modules})"
    found = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert found.stdout == "set()\n"
