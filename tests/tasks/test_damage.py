"""Damaged files in the cache and the work directory: found by content, and repaired.

`test_packages.py` tests the checks by size, and the repairs without a build.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cache.loopback import DATA, Site
from tests.tasks.test_fetch import DIGEST, PLAIN, with_sources
from tests.tasks.test_limits import as_master
from tests.tasks.toy import SCRIPTS, Checkout, doit

pytestmark = pytest.mark.namespace

AGAIN = "it is unpacked anew, and nothing is built"


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


def rebuilt(toy: Checkout, *packages: str) -> str:
    """Build `packages` once more, which have to give the same bytes; what was said."""
    before = {name: toy.stamp(name)["artifact"] for name in SCRIPTS}
    assert toy.doit("forget", *(f"pkg:{name}" for name in packages)).status == 0
    done = toy.builds(*packages)
    assert {name: toy.stamp(name)["artifact"] for name in SCRIPTS} == before
    return done.said


# --- records: not believed if they cannot be read ---------------------------------------------


@pytest.mark.fault(
    "the record of contradicting builds of a package cannot be read",
    "builds and look-ups name the file and the remedy, without a traceback",
)
def test_a_damaged_record_of_a_contradiction(built: Checkout) -> None:
    record = built.cache / "contradicted" / f"{built.stamp('left')['step']}.json"
    record.parent.mkdir(exist_ok=True)
    record.write_text("{")
    for words in (("pkg:left",), ("list",), ("status",)):
        done = built.doit(*words)
        assert done.status != 0 and "Traceback" not in done.said, done
        assert f"{record}: cannot be read\n  doit fsck removes it; then build" in done.said, done
    assert "Traceback" not in built.doit("list", "--status").said
    record.unlink()
    built.builds()


@pytest.mark.fault(
    "the record of an image's parts is damaged", "the image is written again, and nothing is built"
)
@pytest.mark.parametrize("text", ["{", "[1]", "null"])
def test_a_damaged_record_of_parts(built: Checkout, text: str) -> None:
    assert built.doit("image").status == 0
    (record,) = (built.root / "work" / "stamps" / "proofs").iterdir()
    before = record.read_text()
    record.write_text(text)
    built.builds(words=("image",))
    assert record.read_text() == before


# --- trees: never read again, so they are looked at -------------------------------------------


def change(file: Path) -> None:
    file.write_text(file.read_text().swapcase())


def change_secretly(file: Path) -> None:
    status = file.stat()
    change(file)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


def add(file: Path) -> None:
    shutil.copy2(file, file.with_name("more"))


def remove(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize("damage", [change, add, remove], ids=lambda damage: damage.__name__)
@pytest.mark.fault("a file of an unpacked artifact was changed, added or removed", AGAIN)
def test_a_changed_tree(built: Checkout, damage: object) -> None:
    assert callable(damage)
    file = built.tree("bottom", "usr/share/bottom")
    damage(file)
    said = rebuilt(built, "left", "right")
    assert said.count("a tree was changed, it is unpacked again") == 1
    assert list(file.parent.iterdir()) == [file] and file.read_text() == "bottom\n"
    assert "unpacked again" not in rebuilt(built, "left")


@pytest.mark.fault("files of an unpacked artifact have other times", "nothing, and the times again")
def test_a_tree_with_other_times(built: Checkout) -> None:
    file = built.tree("bottom", "usr/share/bottom")
    before = (file.stat().st_ino, file.stat().st_mtime_ns)
    os.utime(file, (2**31, 2**31))
    assert "unpacked again" not in rebuilt(built, "left")
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == before


@pytest.mark.fault("a file of the unpacked seed was changed", "the seed is made anew")
def test_a_changed_seed(built: Checkout) -> None:
    (shell,) = built.cache.glob("trees/seed-*/usr/bin/llvm-strip")
    before = shell.read_text()
    shell.write_text("#!/bin/sh\nexit 1\n")
    said = rebuilt(built, "left")
    assert said.count("the seed was changed, it is made again") == 1
    assert said.count("unpacking the seed ") == 1
    assert shell.read_text() == before
    assert "made again" not in rebuilt(built, "left")


@pytest.mark.fault("somebody edits the unpacked source of a package", AGAIN)
def test_a_changed_source_tree(toy: Checkout, site: Site) -> None:
    with_sources(toy, PLAIN, site.url("good"))
    toy.recipe("bottom", "cat file > $share/file\n" + SCRIPTS["bottom"], sources=sources(toy))
    toy.builds(*SCRIPTS)
    (file,) = toy.root.glob("work/sources/thing-1-*/file")
    file.write_text("edited\n")
    assert "a tree was changed, it is unpacked again" in rebuilt(toy, "bottom")
    assert file.read_text() == "" and toy.tree("bottom", "usr/share/file").read_text() == ""


def sources(toy: Checkout) -> str:
    """The sources of `bottom`, as its recipe has them."""
    lines = (toy.root / "plan/recipes/bottom.yaml").read_text().splitlines()
    return next(line for line in lines if line.startswith("sources:")).partition(": ")[2]


# --- sources ----------------------------------------------------------------------------------


@pytest.mark.fault(
    "a source in the cache has other bytes of the same size",
    "it is fetched again before it is used; offline the build says which it lacks",
)
def test_a_damaged_source(toy: Checkout, site: Site) -> None:
    with_sources(toy, PLAIN, site.url("good"))
    toy.builds(*SCRIPTS)
    source = toy.cache / "sources" / DIGEST
    spoil(source)
    assert toy.doit("forget", "pkg:bottom").status == 0
    offline = toy.doit("pkg", "offline=1")
    assert offline.status != 0 and "Traceback" not in offline.said
    assert "offline, and the cache lacks\n" in offline.said and DIGEST in offline.said
    toy.builds("bottom")
    assert source.read_bytes() == DATA and site.asked["good"] == 2


def spoil(path: Path) -> None:
    """Other bytes of the same size, and the same time."""
    status, content = path.stat(), path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(bytes(byte ^ 1 for byte in content))
    path.chmod(0o444)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


# --- fsck -------------------------------------------------------------------------------------


@pytest.mark.fault(
    "the disk forgot: bytes of sources, artifacts or trees are others, and no time shows it",
    "doit fsck finds them, repairs artifacts from their trees, and removes the rest",
)
def test_fsck_reads_everything(toy: Checkout, site: Site) -> None:
    with_sources(toy, PLAIN, site.url("good"))
    toy.builds(*SCRIPTS)
    assert toy.doit("fsck").said == f"{toy.cache}: no damage found\n"
    spoil(toy.cache / "sources" / DIGEST)
    spoil(toy.artifact("left"))
    change_secretly(toy.tree("top", "usr/share/top"))
    spoil(toy.artifact("right"))
    shutil.rmtree(toy.tree("right", ""))
    toy.artifact("kernel").unlink()
    done = toy.doit("fsck")
    assert done.status != 0 and "Traceback" not in done.said
    for expected in (
        f"sources/{DIGEST}: removed",
        f"artifacts/{toy.artifact('left').name}: left, packed again from its tree",
        f"artifacts/{toy.artifact('kernel').name}: kernel, packed again from its tree",
        f"artifacts/{toy.artifact('right').name}: right, removed",
        f"trees/{toy.tree('top', '').name}: removed",
        "5 damaged, see the list",
    ):
        assert expected in done.said, done
    assert toy.doit("fsck").status == 0
    toy.builds("right")
    rebuilt(toy, "bottom", "kernel")


@pytest.mark.fault(
    "a record in the cache that is cut, has a wrong type or is deep; a directory in place of a "
    "file",
    "`fsck` removes it, and goes on",
)
def test_fsck_of_what_is_no_file_and_no_record(built: Checkout) -> None:
    record, artifact = built.record("left"), built.artifact("top")
    whole = json.loads(record.read_text())
    for content in ("{", json.dumps(whole | {"name": None}), "[" * 100_000, "[1]"):
        record.write_text(content)
        done = built.doit("fsck")
        assert done.status != 0 and f"steps/{record.name}: removed" in done.said, done
        assert "Traceback" not in done.said and not record.exists()
    contradicted = built.cache / "contradicted" / record.name
    contradicted.parent.mkdir(exist_ok=True)
    for content in ("{", json.dumps([whole, whole | {"name": None}]), "[" * 100_000, "1"):
        contradicted.write_text(content)
        done = built.doit("fsck")
        assert done.status != 0 and f"contradicted/{record.name}: removed" in done.said, done
    artifact.unlink()
    source = built.cache / "sources" / ("a" * 64)
    for path in (artifact, source, built.cache / "uses" / f"{'0' * 16}-{'1' * 16}.jsonl"):
        path.mkdir(parents=True)
    done = built.doit("fsck")
    assert f"sources/{source.name}: removed" in done.said, done
    assert f"artifacts/{artifact.name}: top, packed again from its tree" in done.said, done
    assert built.doit("fsck").status == built.doit("gc", "keep=1").status == 0
    built.builds()


# --- places -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "what",
    [
        pytest.param(
            "work", marks=pytest.mark.fault("the work directory is moved", "nothing is built again")
        ),
        pytest.param(
            "cache", marks=pytest.mark.fault("the cache is moved", "nothing is built again")
        ),
        pytest.param(
            "checkout", marks=pytest.mark.fault("the checkout is moved", "nothing is built again")
        ),
    ],
)
def test_moved(built: Checkout, what: str) -> None:
    toy = built
    elsewhere = toy.root.parent / "elsewhere"
    if what == "work":
        (toy.root / "work").rename(elsewhere)
        toy.variables["BQ2_WORKDIR"] = str(elsewhere)
        again = toy.doit("pkg")
        assert (again.status, again.said) == (0, "pkg is up to date\n")
        return
    if what == "cache":
        toy.cache = toy.cache.rename(elsewhere)
    else:
        toy.root = toy.root.rename(elsewhere)
    again = toy.doit("pkg")
    assert (again.status, again.said) == (0, "pkg is up to date\n")
    rebuilt(toy, "top")


@pytest.mark.fault(
    "the cache is read-only, and holds all that is needed", "it is used, and nothing is built"
)
def test_a_read_only_cache(built: Checkout) -> None:
    shutil.rmtree(built.root / "work")
    mount = f"mount --bind {built.cache} {built.cache}; mount -o remount,bind,ro {built.cache}"
    done = as_master(built, f"{mount}; {shlex.join(doit('pkg'))}; {shlex.join(doit('sysroot'))}")
    assert done.status == 0 and done.built == [], done
    assert sorted(done.from_store) == sorted(SCRIPTS)
    assert (built.root / "output/bootstrap-qcow2-base-x86_64.tar").exists()


@pytest.mark.fault(
    "the cache is read-only, and something is to be built", "the build says so, and what helps"
)
def test_a_read_only_cache_that_lacks_something(built: Checkout) -> None:
    built.edit("plan/recipes/left.yaml", "echo left", "echo other")
    mount = f"mount --bind {built.cache} {built.cache}; mount -o remount,bind,ro {built.cache}"
    done = as_master(built, f"{mount}; exec {shlex.join(doit('pkg'))}")
    assert done.status != 0 and "Traceback" not in done.said, done
    assert "the cache cannot be written to" in done.said and "BQ2_CACHE" in done.said
    built.builds("left", "top", "kernel")


# --- the clock --------------------------------------------------------------------------------


@pytest.mark.fault("the clock steps back: all files are of tomorrow", "nothing is built again")
def test_times_of_tomorrow(built: Checkout) -> None:
    tomorrow = time.time() + 86400
    for top in (built.cache, built.root):
        for path in (top, *top.rglob("*")):
            os.utime(path, (tomorrow, tomorrow), follow_symlinks=False)
    assert built.doit("pkg").said == "pkg is up to date\n"
    assert built.doit("gc").status == 0 and built.doit("status").status == 0
    said = rebuilt(built, "left")
    assert "unpacked again" not in said
    built.edit("plan/recipes/top.yaml", "cat", "echo; cat")
    built.builds("top", "kernel")
