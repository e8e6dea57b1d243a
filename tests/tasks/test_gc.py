"""gc: on the command line, in toy checkouts that share a cache."""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path

import pytest

from tasks import gc as module
from tests.tasks.toy import SCRIPTS, Checkout, Done, doit, make_checkout, until

pytestmark = pytest.mark.namespace

# Every clock of the process goes two hours ahead: what was made just now is no longer young.
LATER = "import time\nreal = time.time\ntime.time = lambda: real() + 7200\n"
STRANGE = "0123456789abcdef" * 4


@pytest.fixture
def built(built: Checkout) -> Checkout:
    """One that shares its cache with nobody: not with the one that it is a copy of."""
    shutil.rmtree(built.cache / "uses")
    return built


@pytest.fixture
def later(tmp_path: Path) -> dict[str, str]:
    """Variables of a run two hours later."""
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "sitecustomize.py").write_text(LATER)
    return {"PYTHONPATH": str(tmp_path / "later")}


def gc(toy: Checkout, *words: str, **variables: str) -> Done:
    done = toy.doit("gc", *words, **variables)
    assert done.status == 0, done
    return done


def rows(done: Done) -> dict[str, int]:
    """How many of each kind are not used."""
    table = [line.split() for line in done.said.splitlines() if " not used " in line]
    return {row[0]: int(row[1]) for row in table}


def listing(*directories: Path) -> list[str]:
    """All files but locks, which each run touches."""
    found = [str(path) for directory in directories for path in directory.rglob("*")]
    return sorted(path for path in found if not path.endswith("/lock"))


def change(toy: Checkout, name: str = "left") -> None:
    """Another plan: `left`, `top` and the kernel come out otherwise."""
    toy.edit(f"plan/recipes/{name}.yaml", f"echo {name} ", f"echo {name} again ")


def test_only_what_no_plan_used_lately_goes(built: Checkout, later: dict[str, str]) -> None:
    built.builds()
    old = {name: (built.artifact(name), built.record(name)) for name in SCRIPTS}
    change(built)
    built.builds("left", "top", "kernel")
    assert rows(gc(built, **later))["all"] == 0, "both plans are among the last ten"
    done = gc(built, "keep=1", **later)
    assert {kind: number for kind, number in rows(done).items() if number} == {
        "steps": 3, "trees": 3, "artifacts": 3, "all": 9,
    }  # fmt: skip
    assert "freed " in done.said and f"remain in {built.cache}" in done.said
    for name in ("left", "top", "kernel"):
        assert not any(path.exists() for path in old[name])
    for name in ("bottom", "right"):
        assert all(path.exists() for path in old[name])
    assert not list(built.cache.rglob(".[0-9]*"))
    built.builds()
    built.edit("plan/recipes/left.yaml", " again ", " ")
    built.builds("left", "top", "kernel")


def test_what_is_young_stays(built: Checkout) -> None:
    built.builds()
    change(built)
    built.builds("left", "top", "kernel")
    assert rows(gc(built, "keep=1"))["all"] == 0


def test_a_dry_run_only_shows(built: Checkout, later: dict[str, str]) -> None:
    built.builds()
    change(built)
    done = gc(built, "dry=1", "keep=1", **later)
    assert rows(done)["all"] == 0, "the last plan that was run counts"
    shutil.rmtree(built.cache / "uses")
    before = listing(built.cache, built.root / "work")
    done = gc(built, "dry=1", **later)
    # Of the changed plan the store has `bottom` and `right`.
    assert rows(done)["artifacts"] == 3 and "freed" not in done.said
    assert listing(built.cache, built.root / "work") == before


def test_the_plan_of_this_checkout_stays_though_nothing_says_it_was_run(
    built: Checkout, later: dict[str, str]
) -> None:
    shutil.rmtree(built.root / "work")
    assert rows(gc(built, **later))["all"] == 0
    done = built.builds()
    assert sorted(done.from_store) == sorted(SCRIPTS)


def test_foreign_files_stay_and_unknown_hashes_go(built: Checkout, later: dict[str, str]) -> None:
    cache, work = built.cache, built.root / "work"
    foreign = [cache / "mine", cache / "trees" / "mine" / "x", cache / "sources" / "mine"]
    foreign += [work / "build" / "mine" / "x", work / "sources" / "mine" / "x", work / "mine" / "x"]
    foreign += [work / "build" / "sysroot-from-seed" / "mine" / "x"]
    known = [cache / "trees" / f"seed-{STRANGE}" / "x", cache / "sources" / STRANGE]
    known += [cache / "sources" / "partial" / STRANGE]
    known += [work / "build" / "sysroot-from-seed" / "gone" / "skeleton" / "x"]
    known += [work / "sources" / f"thing-1-{STRANGE[:32]}" / "x"]
    known += [work / "sources" / f".thing-1-{STRANGE[:32]}.part" / "x"]
    for path in (*foreign, *known):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    done = gc(built, **later)
    assert rows(done)["all"] == len(known), done
    assert all(path.exists() for path in foreign)
    assert not any(path.exists() for path in known)
    built.builds()


def test_a_failed_build_stays_until_the_package_stands(
    built: Checkout, later: dict[str, str]
) -> None:
    built.builds()
    directory = built.root / "work" / "build" / "sysroot-from-seed" / "left"
    change(built)
    built.edit("plan/recipes/left.yaml", "again", "again; false")
    assert built.doit("pkg:left").status != 0
    assert rows(gc(built, **later))["builds"] == 0 and (directory / "log").exists()
    built.edit("plan/recipes/left.yaml", "again; false", "")
    built.edit("plan/recipes/left.yaml", "echo left  >", "echo left >")
    built.builds(words=("pkg:left",))
    gc(built, **later)
    assert not directory.exists()


def test_beside_a_running_build(
    built: Checkout, template: Path, tmp_path: Path, later: dict[str, str]
) -> None:
    """Another checkout has taken `bottom` from the store and builds `left`, when this one, whose
    own plan has another `bottom` by now, cleans up."""
    built.builds()
    old = {name: built.artifact(name) for name in SCRIPTS}
    other = make_checkout(template, tmp_path / "other", cache=built.cache, seed=built.seed)
    wait = "while [ ! -e /dest/go ]; do sleep 0.1; done; mv /dest/go $share/left"
    other.recipe("left", wait, "bottom")
    run = other.start(doit("pkg"))
    dest = other.root / "work" / "build" / "sysroot-from-seed" / "left" / "new-dest"
    until(lambda: (dest.parent / "log").exists() and dest.exists(), "the build of left")
    change(built, "bottom")
    assert built.doit("pkg").status == 0
    gc(built, "keep=1", **later)
    assert run.poll() is None
    assert old["bottom"].exists() and not old["top"].exists()
    (dest / "go").touch()
    said, _ = run.communicate()
    assert run.returncode == 0, said
    assert built.doit("pkg").built == [] and other.doit("pkg").built == []


@pytest.mark.fault(
    "the terminal of `gc` stands still (Ctrl-S), or nobody reads its pipe",
    "runs in other checkouts go on",
)
def test_nothing_is_printed_under_the_lock(
    built: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = []

    def say(text: str) -> None:
        printed.append(text)
        with (built.cache / "uses" / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)

    monkeypatch.setattr(module, "say", say)
    module._free(built.project())
    assert len(printed) > 1
