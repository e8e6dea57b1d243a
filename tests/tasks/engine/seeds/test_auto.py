"""seed=auto: the chosen seed, and that later runs keep the choice."""

from __future__ import annotations

import hashlib
import json

import pytest

from tests.cache.loopback import DATA, Site
from tests.tasks.toy import COMPILER, Checkout

SHA256 = hashlib.sha256(DATA).hexdigest()


def with_seeds(toy: Checkout, place: str) -> Checkout:
    """The seed alpine is a file at `place`; there is a debian too."""
    toy.alpine(SHA256, len(DATA), place)
    seeds = toy.root / "plan" / "seeds"
    (seeds / "debian-x86_64.lock.yaml").touch()
    lines = ["archive: {suite: trixie, component: main}", "wanted: {}", COMPILER]
    lines += ["architectures: {x86_64: {archive: amd64}}", ""]
    (seeds / "debian.yaml").write_text("\n".join(lines))
    toy.variables["BQ2_SEED"] = "auto"
    return toy


def chosen(toy: Checkout, *words: str) -> str:
    done = toy.doit("settings", *words)
    assert done.status == 0, done
    row = next(line for line in done.said.splitlines() if line.startswith("seed "))
    assert "seed=auto" in row
    return row.split()[1]


def test_alpine_is_taken_where_its_server_answers_and_stays(toy: Checkout) -> None:
    site = Site()
    try:
        with_seeds(toy, site.url("good"))
        assert chosen(toy) == "alpine"
        assert not (toy.root / "work").exists()  # who only asks keeps nothing
        toy.doit("fetch")
    finally:
        site.close()
    (toy.cache / "sources" / SHA256).unlink()
    assert chosen(toy) == "alpine"  # the server is gone
    assert chosen(toy, "workdir=other") == "debian"


def test_offline_only_the_cache_counts(toy: Checkout) -> None:
    with_seeds(toy, "http://127.0.0.1:9/a.tar")
    assert chosen(toy, "offline=1") == "debian"
    (toy.cache / "sources").mkdir(parents=True)
    (toy.cache / "sources" / SHA256).write_bytes(DATA)
    assert chosen(toy, "offline=1", "workdir=other") == "alpine"


@pytest.mark.fault("a damaged work/seed", "the seed is chosen anew")
def test_a_choice_that_is_none_is_made_again(toy: Checkout) -> None:
    with_seeds(toy, "http://127.0.0.1:9/a.tar")
    (toy.root / "work").mkdir(exist_ok=True)
    (toy.root / "work" / "seed").write_text("debiann")
    assert chosen(toy) == "debian"
    assert (toy.root / "work" / "seed").read_text() == "debiann"
    toy.doit("fetch")
    assert (toy.root / "work" / "seed").read_text() == "debian\n"


def test_the_choice_stands_in_the_plan(toy: Checkout) -> None:
    with_seeds(toy, "http://127.0.0.1:9/a.tar")
    (toy.root / "plan" / "seeds" / "debian-x86_64.lock.yaml").unlink()
    assert chosen(toy) == "alpine"  # it is the only one
    assert toy.doit("plan").status == 0
    told = json.loads((toy.root / "work" / "plan.json").read_text())
    assert told["seed"]["name"] == "alpine-x86_64"


def test_the_first_build_says_the_choice_once(toy: Checkout) -> None:
    with_seeds(toy, "http://127.0.0.1:9/a.tar")
    first = toy.doit("fetch").said
    assert "seed=debian is used in this work directory from now on: Alpine's root cannot" in first
    assert "http://127.0.0.1:9/a.tar: " in first and "seed=alpine uses the other one" in first
    assert "from now on" not in toy.doit("fetch").said


@pytest.mark.fault(
    "seed=auto, and Alpine's server no longer has the file", "the seed is Debian's, and why"
)
def test_a_server_without_the_file_is_none(toy: Checkout) -> None:
    site = Site()
    try:
        with_seeds(toy, site.url("missing"))
        assert chosen(toy) == "debian"
    finally:
        site.close()


@pytest.mark.fault(
    "seed=auto, and neither seed can be fetched",
    "one error: each place that was tried once, and why it failed; the next run says the same",
)
def test_where_neither_seed_can_be_had_each_place_is_named_once(toy: Checkout) -> None:
    """A machine without a network: the proxy for all hosts but this one is down too."""
    with_seeds(toy, "http://127.0.0.1:9/a.tar")
    lines = ["suite: trixie", "snapshot: 20250801T000000Z", "packages:"]
    for name in ("one", "two", "three"):
        path = f"pool/main/{name[0]}/{name}/{name}_1_all.deb"
        sha256 = hashlib.sha256(name.encode()).hexdigest()
        lines.append(f"- {{name: {name}, version: '1', size: 5, path: {path}, sha256: {sha256}}}")
    lock = toy.root / "plan" / "seeds" / "debian-x86_64.lock.yaml"
    lock.write_text("\n".join([*lines, ""]))
    down = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    for _ in range(2):
        done = toy.doit("fetch", "mirror=http://127.0.0.1:8/debian", **down, no_proxy="127.0.0.1")
        assert done.status != 0
        error = done.said.partition("fetch FAILED")[2]
        places = ("127.0.0.1:8", "https://snapshot.debian.org", "http://127.0.0.1:9/a.tar: no")
        assert [error.count(place) for place in places] == [1, 1, 1], done
        assert [error.count(f"{name}_1_all.deb") for name in ("one", "two", "three")] == [1, 1, 1]
        assert "seed=alpine cannot be fetched either: seed.tar" in error
        assert "Release file" not in error  # of an index that no server gives


def test_a_work_directory_from_before_keeps_its_seed(toy: Checkout) -> None:
    site = Site()
    try:
        with_seeds(toy, site.url("good"))
        (toy.root / "work").mkdir(exist_ok=True)
        (toy.root / "work" / "plan.json").write_text('{"seed": {"name": "debian-x86_64"}}')
        assert chosen(toy) == "debian"
        assert chosen(toy, "workdir=other") == "alpine"
    finally:
        site.close()


def test_help_and_lists_ask_no_server(toy: Checkout) -> None:
    site = Site()
    try:
        with_seeds(toy, site.url("good"))
        lock = "suite: trixie\nsnapshot: 20250801T000000Z\npackages: []\n"
        (toy.root / "plan" / "seeds" / "debian-x86_64.lock.yaml").write_text(lock)
        for command in ("list", "help"):
            assert toy.doit(command).status == 0
        assert not site.connections
    finally:
        site.close()


@pytest.mark.fault(
    "seed_tarball= or seed_release= where the work directory keeps the seed debian",
    "refused: seed=alpine must be given too",
)
def test_a_root_that_the_kept_seed_does_not_use(toy: Checkout) -> None:
    with_seeds(toy, "http://127.0.0.1:9/a.tar")
    (toy.root / "work").mkdir()
    (toy.root / "work" / "seed").write_text("debian\n")
    (toy.root / "tarball").touch()
    given = ("seed_tarball=tarball", f"seed_sha256={SHA256}")
    for words in (given, ("seed_release=3.20.3",)):
        done = toy.doit("settings", *words)
        assert done.status != 0 and "this work directory uses seed=debian" in done.said, done
        assert "add seed=alpine" in done.said
    assert toy.doit("settings", *given, "seed=alpine").status == 0
