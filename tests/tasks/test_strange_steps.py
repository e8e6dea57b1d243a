"""Steps that misbehave, on the real command line: their results, and the run's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rootfs.sandbox.enter import LOG_LIMIT
from tests.tasks.toy import SCRIPTS, Checkout, Done, doit, processes, until

pytestmark = pytest.mark.namespace

DONE = "echo done > $share/done"


def fails(toy: Checkout, *expected: str) -> Done:
    """Build `bottom`, which has to fail with these words; then mended it has to succeed."""
    done = toy.doit("pkg:bottom")
    assert done.status != 0 and "Traceback" not in done.said, done
    for words in expected:
        assert words in done.said, done
    toy.recipe("bottom", SCRIPTS["bottom"])
    toy.builds("bottom", words=["pkg:bottom"])
    return done


def log(toy: Checkout) -> Path:
    return toy.root / "work" / "build" / "sysroot-from-seed" / "bottom" / "log"


# --- without end ------------------------------------------------------------------------------


@pytest.mark.fault(
    "a step hangs, and timeout= is set", "it is ended, and said which and after what"
)
def test_a_step_that_hangs(toy: Checkout) -> None:
    marker = f"sleep {1000 + os.getpid()}"
    toy.recipe("bottom", f"echo begun; {marker}")
    toy.recipe("kernel", "mkdir /dest/boot; echo > /dest/boot/kernel.efi")
    toy.edit("plan/sets.yaml", "packages: [bottom, left, right, top]", "packages: []")
    done = toy.doit("pkg", "timeout=0.1")
    assert done.status != 0 and "Traceback" not in done.said
    assert "sysroot-from-seed:bottom FAILED" in done.said
    assert f"{log(toy)}: took longer than 0.1 min and was ended" in done.said
    assert "timeout= sets the limit of a step, in minutes" in done.said
    assert "begun" in log(toy).read_text()
    assert "kernel          built" in done.said, "a step that does not need it"
    until(lambda: not processes(marker), "the end of what hung")


@pytest.mark.fault(
    "a step prints without end",
    "it is ended after 256 MiB; the log is cut there, and its end can be read",
)
def test_a_step_that_floods_its_log(toy: Checkout) -> None:
    toy.recipe("bottom", "cat /dev/zero")
    done = toy.doit("pkg:bottom")
    assert done.status != 0 and "Traceback" not in done.said, done
    assert f"{log(toy)}: printed more than 256 MiB and was ended" in done.said
    assert LOG_LIMIT <= log(toy).stat().st_size < LOG_LIMIT * 1.1


@pytest.mark.fault("a step leaves daemons behind", "they are gone when it ends")
def test_a_step_that_leaves_daemons(toy: Checkout) -> None:
    marker = f"sleep {2000 + os.getpid()}"
    away = "< /dev/null > /dev/null 2>&1"
    toy.recipe("bottom", f"({marker} &); (trap '' HUP TERM; {marker} {away} &)\n{DONE}")
    toy.builds("bottom", words=["pkg:bottom"])
    until(lambda: not processes(marker), "the end of the daemons")


# --- what it does to its own place ------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(
            "mkdir /build/x; cd /build/x; rm -r /build/x",
            id="its directory",
            marks=pytest.mark.fault("a step removes the directory that it is in", "nothing"),
        ),
        pytest.param(
            "exec >&- 2>&-",
            id="its output",
            marks=pytest.mark.fault("a step closes its standard output", "nothing"),
        ),
        pytest.param(
            "for d in /build /source /dest/usr /tmp; do mkdir -p $d/a/b; echo > $d/a/b/f;"
            " chmod 000 $d/a/b/f $d/a/b $d/a; done",
            id="its permissions",
            marks=pytest.mark.fault(
                "a step leaves directories that nobody may enter",
                "in /dest their owner may again; elsewhere they are removed",
            ),
        ),
        pytest.param(
            "kill -9 1; trap '' TERM INT HUP; kill -TERM 1",
            id="its init",
            marks=pytest.mark.fault("a step kills process 1 of its namespace", "nothing"),
        ),
    ],
)
def test_what_does_not_matter(toy: Checkout, script: str) -> None:
    toy.recipe("bottom", f"{script}\n{DONE}")
    toy.builds("bottom", words=["pkg:bottom"])
    assert toy.tree("bottom", "usr/share/done").read_text() == "done\n"
    assert not list((toy.root / "work" / "build").rglob("bottom"))
    toy.recipe("bottom", SCRIPTS["bottom"])
    toy.builds(*SCRIPTS)


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(
            "/dev/shm",
            marks=pytest.mark.fault("a step fills /dev/shm", "it is full after 64 MiB"),
        ),
        pytest.param(
            "/tmp",
            marks=pytest.mark.fault(
                "a step fills /tmp", "it is full after a quarter of the memory"
            ),
        ),
    ],
)
def test_memory_that_is_bounded(toy: Checkout, place: str) -> None:
    """By what the file system says of itself: to fill it would take the memory of others."""
    toy.recipe("bottom", f"stat -f -c '%b %S' {place} > $share/size")
    toy.builds("bottom", words=["pkg:bottom"])
    blocks, size = toy.tree("bottom", "usr/share/size").read_text().split()
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    # The kernel counts some memory that the C library does not.
    assert int(blocks) * int(size) <= (64 << 20 if place == "/dev/shm" else memory * 0.26)
    if place == "/dev/shm":
        toy.recipe("bottom", "dd if=/dev/zero of=/dev/shm/x bs=1M count=65")
        fails(toy, "No space left on device", "the disk is full")


# --- what it leaves in /dest ------------------------------------------------------------------


@pytest.mark.fault("a package has a name with a newline", "it fails at once, with the name")
def test_a_name_with_a_newline(toy: Checkout) -> None:
    toy.recipe("bottom", "echo > \"$share/$(printf 'a\\nb')\"")
    fails(toy, r"the package installs 'usr/share/a\nb': a name with a newline")


@pytest.mark.fault(
    "a package has a name that is not UTF-8", "it is kept as it is, also when packed"
)
def test_a_name_that_is_not_utf8(toy: Checkout) -> None:
    toy.recipe("bottom", f"echo odd > $share/$(printf 'a\\377b')\n{SCRIPTS['bottom']}")
    toy.builds(*SCRIPTS, words=["sysroot"])
    tree = toy.tree("bottom", "")
    (odd,) = tree.glob("usr/share/a*")
    assert os.fsencode(odd.name) == b"a\xffb" and odd.read_text() == "odd\n"
    toy.edit("plan/recipes/left.yaml", "echo left", "cat /sysroot/usr/share/a*b; echo left")
    for path in sorted(tree.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    tree.rmdir()
    toy.builds("left", "kernel")
    assert odd.read_text() == "odd\n"


@pytest.mark.slow
@pytest.mark.fault("a package of 100,000 files", "it is built as any other")
def test_a_hundred_thousand_files(toy: Checkout) -> None:
    many = "while [ $i -lt 100000 ]; do : > $i; i=$((i + 1)); done"
    toy.recipe("bottom", f"mkdir $share/d; cd $share/d; i=0\n{many}\n{SCRIPTS['bottom']}")
    process = toy.start(doit("pkg:bottom"))
    said, _ = process.communicate(timeout=500)  # minutes where a file system is slow
    assert process.returncode == 0, said
    assert sum(1 for _ in toy.tree("bottom", "usr/share/d").iterdir()) == 100_000
    toy.builds("left", "right", "top", "kernel")
