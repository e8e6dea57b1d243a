"""pkg: which packages are built, which are not built again, and the text of failures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.plan.seeding.test_path import elf
from tests.tasks.toy import DEPENDS, SCRIPTS, Checkout, make_checkout

AARCH64 = 183  # EM_AARCH64 of elf(5)

pytestmark = pytest.mark.namespace

ALL = tuple(SCRIPTS)
RECIPES = "plan/recipes"


def test_a_cold_build_runs_each_step_after_its_dependencies(toy: Checkout) -> None:
    done = toy.builds(*ALL)
    for name, depends in DEPENDS.items():
        assert all(done.built.index(each) < done.built.index(name) for each in depends)
    assert done.built[-1] == "kernel"
    assert toy.tree("top", "usr/share/top").read_text() == "bottom\nleft\nbottom\n"
    again = toy.builds()
    assert again.said == "pkg is up to date\n"


# --- early cut-off -----------------------------------------------------------------------------

# The image says which plan it is of, so a changed command always reaches the kernel, which holds
# the initramfs.
CHANGES: dict[str, tuple[tuple[str, str, str], list[str]]] = {
    "a comment": (("bottom", "name: bottom", "# why not\nname: bottom"), []),
    "the reason": (("bottom", "bottom is a toy", "it is good"), []),
    "a command, bytes equal": (("bottom", "echo bottom", "echo 'bottom'"), ["bottom", "kernel"]),
    "the version": (("left", "version: '1'", "version: '2'"), ["left", "kernel"]),
    "bytes at the bottom": (("bottom", "echo bottom", "echo other"), [*ALL]),
    "bytes half-way": (("left", "echo left", "echo other"), ["left", "top", "kernel"]),
    "the license": (("right", "license: MIT", "license: ISC"), ["kernel"]),
    "a dependency": (("right", "[bottom]", "[bottom, left]"), ["right", "kernel"]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_rebuilds_what_it_can_reach(built: Checkout, change: str) -> None:
    (name, old, new), expected = CHANGES[change]
    built.edit(f"{RECIPES}/{name}.yaml", old, new)
    built.builds(*expected)


def test_changed_files_and_sets_rebuild_what_uses_them(built: Checkout) -> None:
    own = built.root / RECIPES / "left"
    own.mkdir()
    (own / "note").write_text("one")
    built.builds("left", "kernel")
    built.edit("plan/sets.yaml", "exclude: [usr/include]", "exclude: [usr/share/left]")
    built.builds("kernel")


def test_a_change_and_its_reversal_come_from_the_store(built: Checkout) -> None:
    before = built.stamp("kernel")
    built.edit(f"{RECIPES}/left.yaml", "echo left", "echo other")
    built.builds("left", "top", "kernel")
    built.edit(f"{RECIPES}/left.yaml", "echo other", "echo left")
    done = built.builds()
    assert done.from_store == ["left", "top", "kernel"]
    assert built.stamp("kernel") == before


# --- forget ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["pkg:left"], ["left"]),
        (["-s", "pkg:left"], ["bottom", "left"]),
        (["pkg"], [*ALL]),
        (["--all"], [*ALL]),
    ],
    ids=" ".join,
)
def test_what_is_forgotten_is_really_built_again(
    built: Checkout, words: list[str], expected: list[str]
) -> None:
    before = {name: built.record(name).stat().st_mtime_ns for name in ALL}
    assert built.doit("forget", *words).status == 0
    done = built.builds(*expected)
    assert done.said.count("the same bytes as before") == len(expected)
    after = {name: built.record(name).stat().st_mtime_ns for name in ALL}
    assert {name for name in ALL if after[name] != before[name]} == set(expected)
    built.builds()


def test_what_failed_stays_forgotten(built: Checkout) -> None:
    built.doit("forget", "pkg:left")
    built.edit(f"{RECIPES}/left.yaml", "echo left", "exit 1; echo left")
    assert built.doit("pkg").status != 0
    built.edit(f"{RECIPES}/left.yaml", "exit 1; echo left", "echo left")
    built.builds("left")


# --- what may be lost --------------------------------------------------------------------------


def _drop_work(toy: Checkout) -> None:
    shutil.rmtree(toy.root / "work")


def _break_stamps(toy: Checkout) -> None:
    for path in (toy.root / "work" / "stamps" / "sysroot-from-seed").iterdir():
        path.write_text("{")


def _drop_trees(toy: Checkout) -> None:
    shutil.rmtree(toy.cache / "trees")
    shutil.rmtree(toy.root / "work")


@pytest.mark.fault(
    "the work directory, the stamps or the unpacked artifacts are lost",
    "all is taken from the store again",
)
@pytest.mark.parametrize("lose", [_drop_work, _break_stamps, _drop_trees])
def test_what_costs_no_rebuild(built: Checkout, lose: Callable[[Checkout], None]) -> None:
    lose(built)
    done = built.builds()
    assert sorted(done.from_store) == sorted(ALL), done
    built.builds()


def test_checkouts_share_the_store(built: Checkout, template: Path, tmp_path: Path) -> None:
    other = make_checkout(template, tmp_path / "other", cache=built.cache, seed=built.seed)
    assert len(other.builds().from_store) == len(ALL)


def _missing(path: Path) -> None:
    path.unlink()


def _truncated(path: Path) -> None:
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[:-512])


@pytest.mark.fault(
    "an artifact is missing or cut short",
    "its package is built again, and nothing else",
)
@pytest.mark.parametrize("damage", [_missing, _truncated])
@pytest.mark.parametrize("work", ["with work", "without work"])
def test_a_damaged_artifact_is_built_again(
    built: Checkout, damage: Callable[[Path], None], work: str
) -> None:
    path = built.artifact("left")
    size = path.stat().st_size
    damage(path)
    if work == "without work":
        _drop_work(built)
    built.builds("left")
    assert path.stat().st_size == size
    built.builds()


@pytest.mark.fault(
    "an artifact has other bytes of the same size",
    "it is removed when it is unpacked; the next run builds it again",
)
def test_other_bytes_in_an_artifact_are_noticed_when_it_is_unpacked(built: Checkout) -> None:
    path = built.artifact("left")
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content.swapcase())
    _drop_trees(built)
    built.doit("forget", "pkg:top")
    done = built.doit("pkg")
    assert done.status == 0 and "the artifact of left was damaged and is removed" in done.said
    assert sorted(done.built) == ["left", "top"]
    assert path.read_bytes() == content


@pytest.mark.fault(
    "the record of an artifact is damaged",
    "its package is built again",
)
def test_a_damaged_record_is_built_again(built: Checkout) -> None:
    built.record("left").write_text("{")
    _drop_work(built)
    built.builds("left")


# --- failures ----------------------------------------------------------------------------------


@pytest.mark.fault(
    "a step fails",
    "what, where, why and how to go on is said; what does not need it is built",
)
def test_a_failure_says_what_where_and_how_to_go_on(toy: Checkout) -> None:
    failing = "echo begun\necho 'x.c:3:1: fatal error: y.h file not found' >&2\nexit 7"
    toy.recipe("left", failing, "bottom")
    done = toy.doit("pkg")
    assert done.status != 0
    assert sorted(done.built) == ["bottom", "left", "right"], done
    directory = toy.root / "work" / "build" / "sysroot-from-seed" / "left"
    for expected in (
        "pkg:left FAILED (sysroot-from-seed)",
        "    | begun\n",
        "  error    x.c:3:1: fatal error: y.h file not found\n",
        "  cause    the header y.h is missing\n",
        "  command  its script, status 7\n",
        f"  log      {directory}/log\n",
        "  next     doit log pkg:left ",
        "doit shell pkg:left ",
        "doit why pkg:left ",
    ):
        assert expected in done.said, done
    report = json.loads((toy.root / "work/failures/sysroot-from-seed-left.json").read_text())
    assert (report["step"], report["status"]) == ("sysroot-from-seed:left", 7)
    assert report["command"][:2] == ["sh", "-euc"] and report["environment"]["TZ"] == "UTC"
    assert report["tail"][-1] == "x.c:3:1: fatal error: y.h file not found"
    assert "begun" in (directory / "log").read_text()
    assert (directory / "new-dest" / "usr" / "share").is_dir()
    assert "Traceback" not in done.said
    toy.recipe("left", SCRIPTS["left"], "bottom")
    toy.builds("left", "top", "kernel")
    assert not directory.exists() and not list((toy.root / "work" / "failures").iterdir())


@pytest.mark.fault(
    "several steps fail",
    "all of them are listed at the end",
)
def test_all_failures_are_listed_at_the_end(toy: Checkout) -> None:
    for name in ("left", "right"):
        toy.recipe(name, "no-such-program", "bottom")
    done = toy.doit("pkg")
    assert done.status != 0
    end = done.said[done.said.index("2 tasks failed:") :]
    for name in ("left", "right"):
        assert f"pkg:{name} FAILED" in end
    assert end.count("cause    the program no-such-program is missing in the build root") == 2
    assert "top" not in done.said


@pytest.mark.fault(
    "a package installs a set-id file or a fifo",
    "it fails, with the path",
)
@pytest.mark.parametrize(
    ("script", "path"),
    [
        ("echo > $share/su; chmod 4755 $share/su", "usr/share/su"),
        ("mkdir -m 2755 /dest/usr/group", "usr/group"),
        ("mkfifo $share/pipe", "usr/share/pipe"),
    ],
)
def test_what_no_package_may_install(toy: Checkout, script: str, path: str) -> None:
    toy.recipe("bottom", script)
    done = toy.doit("pkg:bottom")
    assert done.status != 0
    assert f"{path}: the package installs a device, socket or set-id file" in done.said
    assert "Traceback" not in done.said


def test_what_is_left_out_is_said(toy: Checkout) -> None:
    toy.recipe("odd", "echo odd > $share/odd")
    toy.edit("plan/sets.yaml", "[top, kernel]", "[top, odd, kernel]")
    own = "  efi: BOOTX64.EFI\n"
    toy.edit("plan/architectures.yaml", own, own + "  without: {odd: a toy}\n")
    assert toy.doit("plan").said.endswith("\nwithout odd: a toy\n")
    done = toy.doit("pkg")
    assert "without odd: a toy\n" in done.said and sorted(done.built) == sorted(SCRIPTS), done


def test_what_builds_may_be_another_architecture(toy: Checkout, tmp_path: Path) -> None:
    seed = tmp_path / "seed"
    shutil.copytree(toy.seed, seed, symlinks=True)
    (seed / "usr" / "bin" / "busybox").write_bytes(elf(AARCH64))
    done = toy.doit("plan", "build=aarch64", f"seed={seed}")
    assert done.status == 0, done
    told = json.loads((toy.root / "work" / "plan.json").read_text())
    assert (told["build"], told["arch"]) == ("aarch64", "x86_64")
