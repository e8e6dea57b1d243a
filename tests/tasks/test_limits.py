"""A machine that lacks space or namespaces. The kernel simulates it; there are no mocks."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tests.tasks.toy import SCRIPTS, Checkout, Done, doit, make_checkout

pytestmark = pytest.mark.namespace


# mount repeats the options that /proc has, and there the owner of a tmpfs is a user that a user
# namespace does not know: so no options but these.
RESIZE = "mount --options-mode ignore -o remount,size="


def as_master(toy: Checkout, script: str) -> Done:
    """Run a shell script in user and mount namespaces in which it may mount and set limits."""
    namespaces = ("unshare", "--user", "--map-root-user", "--mount")
    return toy.run([*namespaces, "sh", "-euc", script], BQ2_JOBS="2")


@pytest.mark.fault(
    "the disk is full while a step runs",
    "the step fails, and says so; the next run builds what is left, and nothing else",
)
@pytest.mark.parametrize(("what", "inside"), [("work", "/build"), ("cache", "/sysroot")])
def test_a_full_disk_is_said_and_loses_nothing(toy: Checkout, what: str, inside: str) -> None:
    """It fills up while `left` is being built; the next run starts with no space at all."""
    place = toy.root / "work" if what == "work" else toy.cache
    place.mkdir()
    recipe = toy.recipe("left", "dd if=/dev/zero of=$share/left bs=64k count=16", "bottom")
    ready = recipe.rename(toy.root / "ready.yaml")
    wait = f"while [ $(stat -f -c %a {inside}) != 0 ]; do sleep 0.02; done"
    toy.recipe("left", f"{wait}; dd if=/dev/zero of=$share/left bs=64k count=16", "bottom")
    run = shlex.join(doit("pkg"))
    done = as_master(
        toy,
        f"""mount -t tmpfs -o size=8m tmpfs {place}
        fill() {{
          while [ ! -e {toy.root}/work/stamps/sysroot-from-seed/right.json ]; do sleep 0.05; done
          dd if=/dev/zero of={place}/filler bs=4k 2> /dev/null
        }}
        fill &
        {run} || echo "=== status $?"
        {run} || echo "=== status $?"
        rm {place}/filler
        mv {ready} {recipe}
        {run}""",
    )
    assert done.status == 0 and "Traceback" not in done.said, done.said
    first, second, third = done.said.split("=== status ")
    assert "No space left on device" in first
    assert "No space left on device" in second and "free some space" in second, second
    assert "top" not in first + second
    assert sorted(Done(0, third).built) == ["kernel", "left", "top"], done.said


@pytest.mark.fault(
    "a file system without programs, links, or modes of its own (noexec, nosymfollow, FAT)",
    "the build stops before its first step, and says what lacks and how to name another",
)
@pytest.mark.parametrize("overlay", ["yes", "no"])
@pytest.mark.parametrize(
    ("what", "option", "lack", "remedy"),
    [
        ("work", "noexec", "does not run programs", "workdir=PATH"),
        ("cache", "noexec", "does not run programs", "BQ2_CACHE=PATH"),
        ("cache", "nosymfollow", "does not support links", "BQ2_CACHE=PATH"),
    ],
)
def test_a_file_system_that_is_not_fit(
    toy: Checkout, what: str, option: str, lack: str, remedy: str, overlay: str
) -> None:
    place = toy.root / "work" if what == "work" else toy.cache
    place.mkdir()
    run = shlex.join(doit("pkg:bottom", f"overlay={overlay}"))
    done = as_master(toy, f"mount -t tmpfs -o {option} tmpfs {place}; {run}")
    assert done.status != 0 and "Traceback" not in done.said, done
    assert lack in done.said and remedy in done.said and str(place) in done.said, done
    assert "built in" not in done.said, done


@pytest.mark.fault(
    "the machine has no user namespaces",
    "the build stops, and says how to allow them",
)
def test_no_user_namespaces(toy: Checkout) -> None:
    limit = "echo 0 > /proc/sys/user/max_user_namespaces"
    done = as_master(toy, f"{limit}; exec {shlex.join(doit('pkg'))}")
    assert done.status != 0 and done.built != list(SCRIPTS)
    assert "unshare" in done.said and "ENOSPC" in done.said
    assert "sysctl -w user.max_user_namespaces=" in done.said
    assert "Traceback" not in done.said
    toy.builds(*SCRIPTS)


@pytest.mark.fault(
    "the work directory, the cache, the output or the seed is no place to use",
    "one error with its path; nothing is built",
)
@pytest.mark.parametrize(
    ("words", "variables", "message"),
    [
        ("pkg workdir=/proc/x", {}, "/proc/x: the work directory cannot be used: No such file"),
        (
            "pkg workdir=/etc/passwd",
            {},
            "/etc/passwd: the work directory cannot be used: File exists",
        ),
        ("pkg workdir=LICENSE", {}, "workdir cannot be 'LICENSE'\n  it is in this project's own"),
        ("image output=/proc/x/y", {}, "/proc/x"),
        (
            "image output=plan",
            {},
            "output cannot be 'plan'\n  it is a directory: name a file in it",
        ),
        ("sysroot output=/proc/x/y", {}, "/proc/x"),
        ("pkg", {"BQ2_CACHE": "relative"}, "BQ2_CACHE is the relative path relative"),
        ("seed", {"BQ2_CACHE": "/proc/x"}, "/proc/x: No such file"),
        ("seed seed=plan", {}, "plan: has no /bin/sh"),
        ("seed seed=LICENSE", {}, "LICENSE: is no directory and no tarball that can be read"),
    ],
)
def test_places_that_cannot_be_used(
    built: Checkout, words: str, variables: dict[str, str], message: str
) -> None:
    done = built.doit(*words.split(), **variables)
    assert done.status != 0
    assert message in done.said and "Traceback" not in done.said, done.said
    assert not list(built.root.glob(".*.part"))


@pytest.mark.fault(
    "the work directory is read-only",
    "one error with its path",
)
def test_a_work_directory_that_may_not_be_written_to(toy: Checkout) -> None:
    """Read-only for root too: by a mount."""
    (toy.root / "work").mkdir()
    mount = f"mount -t tmpfs -o ro tmpfs {toy.root}/work"
    done = as_master(toy, f"{mount}; exec {shlex.join(doit('pkg'))}")
    assert done.status != 0
    assert f"{toy.root}/work: the work directory cannot be used: Read-only" in done.said
    assert "Traceback" not in done.said


@pytest.mark.fault(
    "two checkouts build at once with one cache",
    "both end, with the same artifacts",
)
def test_two_checkouts_start_at_once_with_an_empty_cache(
    toy: Checkout, template: Path, tmp_path: Path
) -> None:
    """Both make the seed and build everything at the same time, and neither disturbs the other."""
    other = make_checkout(template, tmp_path / "other", cache=toy.cache, seed=toy.seed)
    runs = [checkout.start(doit("pkg")) for checkout in (toy, other)]
    ends = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], ends
    for name in SCRIPTS:
        assert toy.stamp(name) == other.stamp(name)
    seeds = [path.name for path in (toy.cache / "trees").iterdir() if "seed" in path.name]
    assert len(seeds) == 1, "the slower one left something"
