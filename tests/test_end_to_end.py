"""The whole promise: a fresh checkout, the README's first command, a machine that boots.

Everything is built from source, in a new cache. To save most of the time, sources, the kernel's
objects and libcxx come from the user's cache, where each is known by its hash. `BQ2_TEST_SLOW=1`
compiles these too, twice.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cache.store import Record
from tasks.engine.records.watch import last_steps
from tests.checkout import ROOT, copy_project, own_cache
from tests.layered import CHEAPEST, LAYER, expected, script
from tests.ports import answer
from tests.rootfs.tools import tool

pytestmark = [pytest.mark.end_to_end, pytest.mark.qemu, pytest.mark.namespace]

Run = Callable[..., subprocess.CompletedProcess[str]]
HOURS = 3600
SLOW = "BQ2_TEST_SLOW" in os.environ
# The packages that are neither compiled nor verified where they were built before.
KNOWN = () if SLOW else ("libcxx", "linux")
PRODUCTS = ("image", "sysroot")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(tmp_path_factory.mktemp("end") / "checkout")


@pytest.fixture(scope="module")
def doit(checkout: Path) -> Run:
    """Runs doit in the checkout, and says what it said if it fails."""
    cache = checkout.parent / "cache"
    _lend(own_cache(), cache)
    environment = {name: value for name, value in os.environ.items() if name[:4] != "BQ2_"}
    environment |= {"BQ2_CACHE": str(cache), "BQ2_SET": "base", "BQ2_SEED": "debian"}

    def run(*words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "doit", *words]
        done = subprocess.run(
            command, cwd=checkout, env=environment, capture_output=True, text=True, timeout=HOURS
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done

    return run


def _lend(mine: Path, theirs: Path) -> None:
    """Link the sources, and what was built of KNOWN packages, from one cache into another."""
    files = [path for path in (mine / "sources").glob("*") if path.is_file()]
    for record in (mine / "steps").glob("*.json"):
        made = Record(**json.loads(record.read_text()))
        if made.name in KNOWN:
            files += [mine / "artifacts" / f"{made.artifact}.tar", record]
    for file in files:
        target = theirs / file.relative_to(mine)
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.exists() and not target.exists():
            _link(file, target)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


@pytest.fixture(scope="module")
def image(checkout: Path, doit: Run) -> Path:
    """The image of the base set, built from nothing but sources and the seed."""
    doit("image", "set=base")
    # What came for the first time serves the next run too.
    _lend(checkout.parent / "cache", own_cache())
    (found,) = (checkout / "output").glob("*.qcow2")
    return found


def records(checkout: Path) -> dict[str, Record]:
    """Of the steps that were built here last; the lent store may have others of the same name."""
    stamps = (checkout / "work" / "stamps" / "sysroot-from-seed").glob("*.json")
    steps = [json.loads(path.read_text())["step"] for path in stamps]
    files = [checkout.parent / "cache" / "steps" / f"{step}.json" for step in steps]
    found = [Record(**json.loads(path.read_text())) for path in files]
    return {record.name: record for record in found}


def planned(checkout: Path, doit: Run) -> dict[str, Any]:
    """plan.json as `doit plan` writes it."""
    doit("plan")
    return dict(json.loads((checkout / "work" / "plan.json").read_text()))


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.timeout(HOURS)
def test_the_image_is_a_sound_qcow2_with_a_sound_esp(image: Path, tmp_path: Path) -> None:
    raw = tmp_path / "disk"
    for command in (
        ["qemu-img", "check", image],
        ["qemu-img", "convert", "-O", "raw", image, raw],
        ["sgdisk", "-v", raw],
        ["mcopy", "-i", f"{raw}@@1M", "::/EFI/BOOT/BOOTX64.EFI", tmp_path / "kernel"],
    ):
        tool(*command)
    assert image.stat().st_size <= 12_000_000
    assert (tmp_path / "kernel").read_bytes()[:2] == b"MZ"


def test_about_prints_the_truth(image: Path, checkout: Path, doit: Run) -> None:
    told = json.loads(doit("boot", "run=about --json").stdout)
    made, plan = records(checkout), planned(checkout, doit)
    assert (told["set"], told["arch"], told["plan"]) == ("base", plan["arch"], plan["product"])
    assert told["seed"] == f"{plan['seed']['name']} {plan['seed']['identity']}"
    for package in told["packages"]:
        record = made[package["name"]]
        assert (package["version"], package["artifact"]) == (record.version, record.artifact)
    shown = doit("boot", "run=about").stdout
    assert "booted by EFI" in shown
    assert f"kernel  {made['linux'].version}" in shown
    assert all(package["artifact"][:16] in shown for package in told["packages"])
    first = doit("boot", "run=about | head -1").stdout
    assert first == shown.splitlines(keepends=True)[0]


def test_a_command_in_the_guest_gives_its_output_and_status(image: Path, doit: Run) -> None:
    done = doit("boot", "run=uname -m; ls /dev/console /proc/1/exe; exit 7", status=7)
    assert done.stdout.splitlines()[-3:] == [os.uname().machine, "/dev/console", "/proc/1/exe"]


@pytest.mark.timeout(HOURS)
def test_ssh_enters_what_boot_started(image: Path, checkout: Path, doit: Run) -> None:
    """It waits for the machine, gives the command's status, and leaves the machine as it was."""
    environment = os.environ | {"BQ2_CACHE": str(checkout.parent / "cache"), "BQ2_SET": "base"}
    with subprocess.Popen(
        [sys.executable, "-m", "doit", "boot", "seed=debian"],
        cwd=checkout,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    ) as machine:
        try:
            while not (checkout / "work/ssh/port").exists():
                time.sleep(0.1)
            for word in ("first", "second"):
                said = doit("ssh", f"run=echo {word} >>/words; cat /words; exit 7", status=7).stdout
            assert said.splitlines() == ["first", "second"]
            doit("ssh", "run=poweroff")
            assert machine.wait(HOURS) == 0
        finally:
            machine.kill()


@pytest.mark.fault(
    "a user of the booted image without rights writes to /", "only root may write there"
)
def test_only_root_writes_to_the_top(image: Path, doit: Run) -> None:
    write = 'su -s /bin/sh nobody -c "touch /left" 2>&1'
    done = doit("boot", f"run=stat -c %a /; {write}; busybox --help | head -1", status=0)
    assert done.stdout.splitlines()[-3:] == [
        "755",
        "touch: /left: Permission denied",
        "BusyBox v1.37.0 multi-call binary.",
    ]


def test_a_second_run_has_nothing_to_do(image: Path, doit: Run) -> None:
    assert doit("image", "set=base").stdout == "image is up to date\n"


def test_forgetting_musl_compiles_musl_and_nothing_else(
    image: Path, checkout: Path, doit: Run
) -> None:
    before, was = digest(image), records(checkout)
    doit("forget", "pkg:musl")
    said = doit("image", "set=base").stdout
    assert [line for line in said.splitlines() if "building" in line] == [
        "pkg:musl            building 1.2.5"
    ]
    assert "the same bytes as before" in said
    assert digest(image) == before
    assert {name: record.artifact for name, record in records(checkout).items()} == {
        name: record.artifact for name, record in was.items()
    }


def test_an_interrupted_build_goes_on_and_gives_the_same_bytes(
    image: Path, checkout: Path, doit: Run
) -> None:
    """kill -9 while Ninja runs: the compilers die with it, and what they had done is kept."""
    doit("pkg:libcxx", "with=libcxx")
    was = records(checkout)["libcxx"].artifact
    doit("forget", "pkg:libcxx", "with=libcxx")
    log = checkout / "work" / "build" / "sysroot-from-seed" / "libcxx" / "log"
    process = subprocess.Popen(
        [sys.executable, "-m", "doit", "pkg:libcxx", "with=libcxx"],
        cwd=checkout,
        env=os.environ
        | {"BQ2_CACHE": str(checkout.parent / "cache"), "BQ2_SET": "base", "BQ2_SEED": "debian"},
        stdout=subprocess.DEVNULL,
    )
    while not log.exists() or (steps := last_steps(log)) is None or steps[0] < 200:
        assert process.poll() is None
        time.sleep(0.1)
    process.kill()
    process.wait()
    done, all_steps = steps
    said = doit("pkg:libcxx", "with=libcxx").stdout
    assert "continues its earlier build" in said and "the same bytes as before" in said
    assert records(checkout)["libcxx"].artifact == was
    assert 200 <= done < all_steps


def test_the_sysroot_is_a_tarball_with_all_that_made_it(
    image: Path, checkout: Path, doit: Run
) -> None:
    doit("sysroot", "set=base")
    (tarball,) = (checkout / "output").glob("*.tar")
    listing = subprocess.run(["tar", "-tf", tarball], capture_output=True, text=True, check=True)
    names = set(listing.stdout.splitlines())
    assert {"usr/bin/busybox", "usr/lib/libc.so", "usr/include/stdio.h", "init"} <= names
    assert {"workspace/plan.json", "workspace/bootstrap-qcow2/dodo.py"} <= names
    steps = [step for step in planned(checkout, doit)["steps"] if step["name"][:5] != "seed-"]
    wanted = {source["sha256"] for step in steps for source in step["sources"]}
    assert {f"workspace/cache/sources/{sha256}" for sha256 in wanted} <= names


@pytest.mark.timeout(HOURS)
@pytest.mark.fault(
    "the base set is built again under all that `doit verify` varies",
    "every artifact, the tarball and the image are the same",
)
def test_everything_is_the_same_under_other_conditions(
    image: Path, checkout: Path, doit: Run
) -> None:
    names = {record.name for record in records(checkout).values()} - {*KNOWN}
    said = doit("verify", "set=base", f"packages={','.join([*sorted(names), *PRODUCTS])}").stdout
    assert re.search(r"^(\d+) of \1 identical$", said, re.MULTILINE), said


def test_the_composed_sysroot_runs(image: Path, doit: Run) -> None:
    loader = f"/lib/ld-musl-{os.uname().machine}.so.1"
    run = f"run=busybox | head -1; {loader} --list /usr/bin/about; exit 3"
    said = doit("shell", "sysroot", run, status=3).stdout
    assert said.startswith("BusyBox v1.37.0 multi-call binary.")
    assert "libgc.so" in said and "not found" not in said


def test_the_machine_does_with_this_image_what_it_does_with_others(image: Path) -> None:
    """The tests of rootfs/vm/boot.py that need a real guest, and those of the machine."""
    environment = os.environ | {"BQ2_TEST_IMAGE": str(image)}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-qrs",
        "tests/rootfs/vm/test_boot.py",
        "tests/machine/test_machine.py",
        "-k",
        "projects_image or test_machine",
    ]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout and "names no image" not in done.stdout


@pytest.mark.timeout(HOURS)
def test_packages_of_a_layer_run_in_the_machine(
    image: Path, checkout: Path, doit: Run, tmp_path: Path
) -> None:
    """From a directory that it shares: no other image has to be made."""
    layer = f"layer={checkout / LAYER.relative_to(ROOT)}"
    tasks = [f"pkg:{name}" for name in CHEAPEST]
    doit(*tasks, layer, f"with={','.join(CHEAPEST)}", "workdir=layered")
    _lend(checkout.parent / "cache", own_cache())
    for name in (*CHEAPEST, "zlib"):
        stamp = checkout / "layered" / "stamps" / "sysroot-from-seed" / f"{name}.json"
        artifact = json.loads(stamp.read_text())["artifact"]
        tree = checkout.parent / "cache" / "trees" / artifact
        shutil.copytree(tree, tmp_path / "share", symlinks=True, dirs_exist_ok=True)
    names = list(CHEAPEST)
    said = doit("boot", f"share={tmp_path / 'share'}", f"run={script(names, '/share/usr')}").stdout
    assert said.splitlines()[-len(names) :] == expected(names)


@pytest.mark.timeout(HOURS)
def test_a_package_for_another_architecture(image: Path, checkout: Path, doit: Run) -> None:
    """The last test: what it builds has the names of what the others look for."""
    other, machine = ("aarch64", 183) if os.uname().machine == "x86_64" else ("x86_64", 62)
    doit("pkg:zlib", "with=zlib", f"arch={other}", "workdir=crossed")
    stamps = checkout / "crossed" / "stamps" / "sysroot-from-seed"
    artifact = json.loads((stamps / "zlib.json").read_text())["artifact"]
    library = checkout.parent / "cache" / "trees" / artifact / "usr" / "lib" / "libz.so.1"
    # e_machine, of the System V ABI's ELF header.
    assert int.from_bytes(library.read_bytes()[18:20], "little") == machine


@pytest.mark.timeout(HOURS)
@pytest.mark.fault(
    "the program of an app dies at once, in a machine without a terminal",
    "`boot` ends and fails, with what the program said last",
)
def test_a_crystal_project_is_a_machine_that_answers(
    image: Path, checkout: Path, free_port: int
) -> None:
    """The example of docs/program.md, not optimised. At the end its own file is made worthless.

    The last test, as the one before.
    """
    app = checkout.parent / "notes"
    shutil.copytree(ROOT / "docs" / "examples" / "notes", app)
    about = app / "layer.yaml"
    about.write_text(about.read_text().replace("app:\n", "app:\n  options: [-O0]\n"))
    environment = os.environ | {"BQ2_CACHE": str(checkout.parent / "cache"), "BQ2_SEED": "debian"}
    command = [
        sys.executable,
        "-m",
        "doit",
        "boot",
        f"app={app}",
        f"ports={free_port}:80",
        "workdir=mine",
    ]
    with (
        (checkout / "console").open("wb") as console,
        subprocess.Popen(
            command,
            cwd=checkout,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
        ) as machine,
    ):
        try:
            url = f"http://127.0.0.1:{free_port}/notes"
            while (found := _asked(url)) is None and machine.poll() is None:
                time.sleep(0.2)
            assert found == [], (checkout / "console").read_text(errors="replace")
            made = _asked(url, b'{"text": "first"}')
            assert made and _asked(f"{url}/{made['id']}") == made
            first = _stamped(checkout, "notes")
            old = _changed_while_it_runs(checkout, app, url, environment)
            kill = "echo worthless >/var/lib/notes/notes.json; killall notes"
            ssh = [sys.executable, "-m", "doit", "ssh", "workdir=mine", f"run={kill}"]
            subprocess.run(ssh, cwd=checkout, env=environment, check=True)
            assert machine.wait(HOURS) == 1
        finally:
            machine.kill()
    said = (checkout / "console").read_text(errors="replace")
    assert "notes listens on port 80" in said
    error = said.partition("the console said before:")[2]
    assert "Unexpected char 'w' at line 1" in error, said
    # The run of `boot` ended after that of `push`; it forgot nothing, and knows nothing old.
    assert _stamped(checkout, "notes") != first
    (app / "src" / "notes.cr").write_text(old)
    again = [sys.executable, "-m", "doit", "pkg:notes", f"app={app}", "workdir=mine"]
    subprocess.run(again, cwd=checkout, env=environment, check=True)
    assert _stamped(checkout, "notes") == first


def _stamped(checkout: Path, name: str) -> str:
    """The artifact of a package in the work directory `mine`."""
    stamp = checkout / "mine" / "stamps" / "sysroot-from-seed" / f"{name}.json"
    return str(json.loads(stamp.read_text())["artifact"])


def _changed_while_it_runs(checkout: Path, app: Path, url: str, environment: dict[str, str]) -> str:
    """A line of the project changes, and the machine that runs has it. Returns the old text."""
    line = 'when {"GET", "/"}, {"GET", "/notes"} then answer response, '
    main = app / "src" / "notes.cr"
    text = main.read_text()
    assert f"{line}@store.notes" in text
    main.write_text(text.replace(f"{line}@store.notes", f'{line}["changed"]'))
    push = [sys.executable, "-m", "doit", "push", f"app={app}", "workdir=mine", "wait=600"]
    said = subprocess.run(
        push, cwd=checkout, env=environment, capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stdout + said.stderr
    assert _asked(url) == ["changed"]
    return text


@pytest.mark.timeout(HOURS)
@pytest.mark.fault("an app does not compile", "the compiler's message, and the file and line")
def test_an_app_that_does_not_compile(image: Path, checkout: Path) -> None:
    """Among the last tests, too."""
    app = checkout.parent / "bad"
    (app / "src").mkdir(parents=True)
    shard = "name: bad\nversion: 0.1.0\ntargets: {bad: {main: src/bad.cr}}\n"
    (app / "shard.yml").write_text(shard)
    (app / "src" / "bad.cr").write_text("def greet(name : String)\nend\n\ngreet 42\n")
    command = [sys.executable, "-m", "doit", "pkg:bad", f"app={app}", "workdir=mine"]
    environment = os.environ | {"BQ2_CACHE": str(checkout.parent / "cache"), "BQ2_SEED": "debian"}
    done = subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, timeout=HOURS
    )
    assert done.returncode == 1
    error = "  error    Error: expected argument #1 to 'greet' to be String, not Int32\n"
    assert error in done.stdout and "In src/bad.cr:4:7" in done.stdout, done.stdout


def _asked(url: str, body: bytes | None = None) -> Any:
    """The JSON that `url` answers with, or None if nothing answers."""
    found = answer(url, body)
    return None if found is None else json.loads(found)
