"""verify: each variation finds its kind of leak, and a build without leaks has no findings.

The leaks are real: recipes that write what they see. If the sandbox hides all of it, the test uses
a checkout whose sandbox lacks that guard.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import tarfile
from pathlib import Path
from typing import Any

import pytest

from plan.settings.parameters import VARIATIONS
from tasks.engine.records.verdicts import IDENTICAL, Verdict, Verified
from tasks.reproduce.other_python import another
from tasks.reproduce.variations import INSTEAD
from tests.nobody import IS_ROOT
from tests.scratch import IN_MEMORY
from tests.tasks.test_limits import as_master
from tests.tasks.toy import (
    DEPENDS,
    SCRIPTS,
    SECONDS,
    Checkout,
    doit,
    make_checkout,
    processes,
    until,
)

pytestmark = pytest.mark.namespace

# What each package writes down, and which variation has to show it.
LEAKS = {
    "clean": "echo clean > $share/x",
    "acl": "mkdir $share/x",
    "caller": "ulimit -n > $share/x",
    "user": "cat /proc/self/uid_map > $share/x",
    "umask": "mkdir $share/x",
    "locale": "echo zone $TZ > $share/x",
    "host": "hostname > $share/x",
    "order": "find . -type f > $share/x",
    "cold": "cat /sysroot/usr/share/bottom > $share/x",
    "jobs": "echo $JOBS > $share/x",
    "links": "stat -f -c %t /source > $share/x",
    "filesystem": "mkdir d; stat -c %s d > $share/x",
    "personality": "uname -r > $share/x",
    "python": "echo $PACKER > $share/x",
    "variables": "echo $SOURCE_DATE_EPOCH > $share/x",
}
ALWAYS = {
    "path": "grep ' /dest ' /proc/self/mountinfo | tr ' ' '\\n' | grep dest > $share/x",
    "random": "cat /proc/sys/kernel/random/uuid > $share/x",
    "time": "sleep 1; date +%s > $share/x",
    "fails": "[ $JOBS != 5 ]",
}
CAUSES = {
    "user": "the user id",
    "umask": "the umask or an ACL",
    "acl": "the umask or an ACL",
    "locale": "the locale or the time zone",
    "host": "the host's name",
    "order": "another order",
    "jobs": "the number of processes",
    "personality": "the release of the kernel",
    "python": "the Python that packs",
    "variables": "a variable of the caller",
    "path": "the path of the work directory",
    "random": "a random number",
    "time": "a time stamp",
}
# The guards that the checkout of the leaks lacks: file, text, what stands there instead.
GUARDS = (
    ("rootfs/sandbox/namespaces.py", "    os.umask(0o022)\n", ""),
    ("rootfs/sandbox/namespaces.py", "    disinherit(spec)", "    pass"),
    ("rootfs/archives/files.py", "        _remove_attribute(path, name)\n", "        pass\n"),
    ("rootfs/sandbox/namespaces.py", '    set_host_name(spec["hostname"])\n', ""),
    (
        "rootfs/sandbox/step.py",
        "dict(step.environment) |",
        "dict(step.environment) | {'TZ': os.environ['TZ']} | _SEEN |",
    ),
    (
        "rootfs/sandbox/step.py",
        "\nFIXED =",
        """
_SEEN = {"PACKER": __import__("platform").python_version()}
_SEEN["SOURCE_DATE_EPOCH"] = os.environ.get("SOURCE_DATE_EPOCH", "none")
FIXED =""",
    ),
)
DISK = IS_ROOT and shutil.which("mkfs.xfs") and Path("/dev/loop-control").exists()
# What not every machine can vary, and what it lacks.
SOMETIMES = {
    "filesystem": (DISK, "root, mkfs.xfs and a loop device"),
    "order": (not IN_MEMORY, "a directory for temporary files that is not in memory"),
    "python": (another(), "another Python on the PATH"),
}


def source_of_many_files(cache: Path) -> str:
    """A source whose files have names in no order; the YAML that names it."""
    directory = cache / "sources"
    directory.mkdir(parents=True)
    with tarfile.open(directory / "tar", "w") as tar:
        for number in range(64):
            tar.addfile(tarfile.TarInfo(f"thing-1/{number * 37 % 64}"))
    data = (directory / "tar").read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    (directory / "tar").rename(directory / digest)
    return f"[{{sha256: {digest}, size: {len(data)}, file: thing-1.tar, urls: []}}]"


@pytest.fixture(scope="module")
def leaks(tmp_path_factory: pytest.TempPathFactory, template: Path, seed: Path) -> Checkout:
    """A checkout in which every package leaks something, built."""
    directory = tmp_path_factory.mktemp("leaks")
    checkout = make_checkout(template, directory / "root", cache=directory / "cache", seed=seed)
    for guard in GUARDS:
        checkout.edit(*guard)
    source = source_of_many_files(checkout.cache)
    for name, script in (LEAKS | ALWAYS).items():
        checkout.recipe(name, script, "bottom", sources=source)
    packages = ", ".join([*LEAKS, *ALWAYS])
    checkout.edit(
        "plan/sets.yaml", "packages: [top, kernel]", f"packages: [top, {packages}, kernel]"
    )
    done = checkout.doit("pkg", BQ2_JOBS="2", TZ="UTC")
    assert done.status == 0, done
    # Somebody wrote into the cache, and no time shows it: only what is unpacked anew is as it was.
    checkout.recipe("cold", LEAKS["cold"] + "; : again", "bottom", sources=source)
    kept = checkout.tree("bottom", "usr/share/bottom")
    times = kept.stat()
    kept.write_text("something else\n")
    os.utime(kept, ns=(times.st_atime_ns, times.st_mtime_ns))
    done = checkout.doit("pkg:cold", BQ2_JOBS="2", TZ="UTC")
    assert done.status == 0, done
    return checkout


def verify(checkout: Checkout, *words: str) -> Any:
    return checkout.doit("verify", *words, BQ2_JOBS="2", TZ="UTC")


def block(said: str) -> str:
    """The cause that is shown."""
    return said.partition("cause  ")[2].partition("\n")[0]


@pytest.mark.parametrize("name", [name for name in LEAKS if name != "clean"])
@pytest.mark.fault(
    "a package whose bits depend on the machine or the caller",
    "`doit verify` shows the file, the bytes and the likely cause, and ends with status 1",
)
def test_each_variation_shows_what_it_is_for(leaks: Checkout, name: str) -> None:
    possible, what = SOMETIMES.get(name, (True, ""))
    if not possible:
        pytest.skip(f"needs {what}")
    done = verify(leaks, f"packages={name}", f"variations={name}")
    assert done.status == 1, done
    assert "0 of 1 identical" in done.said and f"sysroot-from-seed:{name} " in done.said, done
    assert "file   /usr/share/x" in done.said, done
    assert name not in CAUSES or block(done.said) == CAUSES[name], done


@pytest.mark.parametrize("number", ["serial", "many"])
def test_one_process_and_64_are_variations_too(leaks: Checkout, number: str) -> None:
    done = verify(leaks, "packages=clean,jobs", f"variations={number}")
    assert done.status == 1 and "1 of 2 identical" in done.said, done
    assert block(done.said) == CAUSES["jobs"], done


def test_without_its_variation_none_shows_but_what_always_does(leaks: Checkout) -> None:
    packages = ",".join([*LEAKS, "path", "random", "time"])
    done = verify(leaks, f"packages={packages}", "variations=time")
    assert done.status == 1 and f"{len(LEAKS)} of {len(LEAKS) + 3} identical" in done.said, done
    for name in ("path", "random", "time"):
        shown = done.said.partition(f"sysroot-from-seed:{name} ")[2]
        assert "differs" in shown.partition("\n")[0] and block(shown) == CAUSES[name], done
        assert (leaks.root / "work" / "verified" / f"sysroot-from-seed-{name}.again").exists()


@pytest.mark.fault(
    "a package that cannot be built under other conditions",
    "`doit verify` shows the end of its log, counts it as not identical, and goes on",
)
def test_a_second_build_that_fails(leaks: Checkout) -> None:
    done = verify(leaks, "packages=clean,fails", "variations=jobs,umask")
    assert done.status == 1 and "sysroot-from-seed:fails          failed" in done.said, done
    log = leaks.root / "work" / "verified" / "sysroot-from-seed-fails.again"
    assert f"log: {log}" in done.said and "JOBS != 5" in log.read_text(), done
    assert "of 2 identical" in done.said


def listing(cache: Path) -> list[str]:
    """All that the cache holds, with the bytes of the records."""
    files = [path for path in cache.rglob("*") if "uses" not in path.parts]
    records = [path.read_text() for path in sorted((cache / "steps").iterdir())]
    return sorted(map(str, files)) + records


def test_what_leaks_nothing_is_identical_and_the_store_never_hears_of_it(built: Checkout) -> None:
    before = listing(built.cache)
    done = verify(built)
    assert done.status == 0 and "8 of 8 identical" in done.said, done
    varied = set(VARIATIONS) - set(INSTEAD)
    lacking = {name for name, (possible, _) in SOMETIMES.items() if not possible}
    assert f"varied: {', '.join(sorted(varied - lacking))}\n" in done.said, done
    for name in lacking:
        assert f"  not {name}: " in done.said, done
    assert listing(built.cache) == before
    assert not (built.root / "work" / "verify").exists()
    found = json.loads((built.root / "work/verified/sysroot-from-seed-left.json").read_text())
    stamp = built.stamp("left")
    assert (found["step"], found["artifact"]) == (stamp["step"], stamp["artifact"])
    assert found["verdict"] == "identical" and "umask" in found["variations"]
    # Known, until the step or what is varied is another.
    assert verify(built).said.count("identical, as found before") == 8
    done = verify(built, "packages=left", "variations=links")
    assert "before" not in done.said and "1 of 1 identical" in done.said, done


def test_products_can_be_chosen_as_packages_are(built: Checkout) -> None:
    done = verify(built, "packages=left,image")
    assert done.status == 0 and "2 of 2 identical" in done.said, done
    done = verify(built, "packages=sysroot")
    assert done.status == 0 and "1 of 1 identical" in done.said, done


@pytest.mark.fault(
    "`verify` or `report` of a set without a kernel",
    "`verify` builds everything else again; the page has what was made",
)
def test_a_set_without_a_kernel_has_no_image_to_look_at(built: Checkout) -> None:
    """Neither for `verify` nor for the page of `report`."""
    sets = built.root / "plan" / "sets.yaml"
    sets.write_text("base: {phase: sysroot-from-seed, packages: [bottom], exclude: []}\n")
    done = verify(built, "variations=umask")
    assert done.status == 0 and "3 of 3 identical" in done.said, done
    done = built.doit("report")
    assert done.status == 0, done


@pytest.mark.fault(
    "an artifact of other bytes from `doit verify`",
    "the store keeps the one that stands, and what depends on it stays as it is",
)
def test_a_difference_stays_out_of_the_store(built: Checkout) -> None:
    built.recipe("left", ALWAYS["random"] + "; cp $share/x $share/left", "bottom")
    assert built.doit("pkg").status == 0
    before, stamp = listing(built.cache), built.stamp("left")
    done = verify(built, "packages=left,top", "variations=time")
    assert done.status == 1 and "1 of 2 identical" in done.said, done
    assert listing(built.cache) == before and built.stamp("left") == stamp
    assert built.doit("pkg").built == []


@pytest.mark.fault(
    "a writer of images or tarballs that depends on the clock or the umask",
    "`doit verify` writes both again and shows the member or the offset that differs",
)
def test_products_that_differ(built: Checkout) -> None:
    clock = "timestamp=int(__import__('time').time())"
    built.edit("rootfs/image/assemble.py", "timestamp=SOURCE_DATE_EPOCH", clock)
    built.edit("rootfs/image/workspace.py", "path.chmod(0o755 if executable else 0o644)", "pass")
    done = verify(built, "variations=umask")
    assert done.status == 1 and "5 of 8 identical" in done.said, done
    tarball, more = done.said.split("\nsysroot  ")[1].split("\nimage  ")
    image, oci = more.split("\noci  ")
    assert "header of etc/bq2/" in tarball and "differs" in image and "differs" in oci, done


@pytest.mark.fault(
    "`doit verify` is killed", "nothing goes on, and the next one goes on after what was done"
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_killed_it_goes_on(built: Checkout, tmp_path: Path, number: signal.Signals) -> None:
    marker = f"{3 + hash(tmp_path) % 10**6 / 10**6:.6f}"
    built.recipe("left", f"sleep {marker}; {SCRIPTS['left']}", *DEPENDS["left"])
    assert built.doit("pkg").status == 0
    process = built.start(doit("verify", "packages=bottom,left"))
    until(lambda: bool(processes(f"sleep {marker}")), "the second build")
    process.send_signal(number)
    process.communicate(timeout=SECONDS)
    until(lambda: not processes(str(built.root)), "the end of all that was started")
    done = built.doit("verify", "packages=bottom,left")
    assert done.status == 0 and "2 of 2 identical" in done.said, done
    assert done.said.count("as found before") == 1, done


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["variations=umaks"], "did you mean umask?"),
        (["variations=links,order"], "links and order cannot be varied in the same build"),
        (["variations=serial,many"], "many and serial cannot be varied in the same build"),
        (["packages=lfet"], "did you mean left?"),
        (
            ["phase=rootfs-from-sysroot"],
            "rootfs-from-sysroot builds none of these packages",
        ),
        (["variations=links", "overlay=no"], "links cannot be varied here"),
    ],
)
@pytest.mark.fault("a misspelt or impossible variation", "one error says which, and the remedy")
def test_bad_words(built: Checkout, words: list[str], message: str) -> None:
    done = built.doit("verify", *words)
    assert done.status != 0 and message in done.said and "Traceback" not in done.said, done


@pytest.mark.fault(
    "an impossible variation where nothing is built yet", "it is told at once, not after the build"
)
@pytest.mark.parametrize(
    "words",
    [["variations=links,order"], ["variations=links", "overlay=no"], ["variations=python,path"]],
)
def test_it_is_told_before_the_build(toy: Checkout, words: list[str]) -> None:
    done = toy.doit("verify", *words, PATH="/nowhere")
    assert done.status == 3 and "cannot be varied" in done.said, done
    assert "Traceback" not in done.said and not done.built, done
    assert not (toy.root / "work" / "stamps").exists()


@pytest.mark.fault(
    "`./bq2 verify variations=NAME` is the first command in a checkout", "it builds, and verifies"
)
def test_it_may_be_the_first_command(toy: Checkout) -> None:
    done = toy.doit("verify", "packages=bottom", "variations=umask,host")
    assert done.status == 0 and "1 of 1 identical" in done.said, done


@pytest.mark.fault(
    "something that cannot be varied on this machine", "`doit verify` says so, and varies the rest"
)
def test_what_cannot_be_varied_is_said(built: Checkout) -> None:
    shutil.rmtree(built.root / "work")
    (built.root / "work").mkdir()
    mount = f"mount -t tmpfs tmpfs {built.root}/work"
    done = as_master(built, f"{mount}; exec {' '.join(doit('verify', 'packages=left'))}")
    assert done.status == 0 and "1 of 1 identical" in done.said, done
    assert "not order: the work directory is already in memory" in done.said, done


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("python", "no other Python, 3.11 or newer, on the PATH"),
        ("filesystem", "none of mkfs.xfs" if IS_ROOT else "only root mounts a file system"),
    ],
)
@pytest.mark.fault(
    "a variation that needs another Python, root or mkfs, and there is none",
    "one error says what is missing",
)
def test_what_a_variation_needs(built: Checkout, name: str, message: str) -> None:
    done = built.doit("verify", "packages=left", f"variations={name}", PATH="/nowhere")
    assert done.status != 0 and "Traceback" not in done.said, done
    assert f"{name} cannot be varied here: {message}" in done.said, done


def test_what_is_remembered_adds_up(tmp_path: Path) -> None:
    verified = Verified(tmp_path, "x")

    def keep(verdict: str, *variations: str) -> Verdict:
        verified.keep(Verdict("step", "artifact", verdict, list(variations)))
        found = verified.read("step", "artifact")
        assert found
        return found

    assert keep(IDENTICAL, "jobs").covers({"jobs"})
    both = keep(IDENTICAL, "umask")
    assert both.variations == ["jobs", "umask"] and both.covers({"jobs", "umask"})
    assert not both.covers({"host"}) and verified.read("another", "artifact") is None
    assert keep("differs", "jobs").verdict == "differs"
    # Another variation says nothing about the difference; the same one does.
    assert keep(IDENTICAL, "umask").verdict == "differs"
    assert keep(IDENTICAL, "jobs", "umask").covers({"jobs"})
    verified.file.write_text("{")
    assert verified.read("step", "artifact") is None
