"""regenerate: a toy system builds itself again inside itself, with sandboxes inside a sandbox.

The toy has a shell (busybox). Its package `python` contains this machine's interpreter and doit's
dependencies, so that the project really runs inside.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tasks.reproduce.regenerate import said
from tests.tasks.test_layer import with_layer
from tests.tasks.test_phases import RECIPES
from tests.tasks.toy import Checkout

pytestmark = pytest.mark.namespace

FULL = """\
full:
  phase: rootfs-from-sysroot
  packages: [base, python, first, last, kernel]
  exclude: []
  root: yes
  initramfs: {kernel: kernel, packages: [base]}
"""
MODULES = (
    *("doit", "yaml", "_yaml", "tqdm", "requests", "urllib3", "idna", "certifi"),
    "charset_normalizer",
)
INSTALL = """\
cp -R /recipe/. /dest
chmod 755 /dest/usr/bin/python3 /dest/lib64/*
"""


def put_python(directory: Path) -> None:
    """This interpreter, its standard library, doit and all shared libraries, as a root has them."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    library = directory / "usr" / "lib" / version
    unwanted = ("__pycache__", "test", "tests", "idlelib", "tkinter", "site-packages", "config-*")
    ignored = shutil.ignore_patterns(*unwanted, "dist-packages", "ensurepip", "lib2to3")
    shutil.copytree(Path(os.__file__).parent, library, ignore=ignored)
    for name in MODULES:
        spec = find_spec(name)
        assert spec and spec.origin, name
        # Beside the standard library: Debian's Python has no site-packages.
        target = library / name
        shutil.copytree(Path(spec.origin).parent, target, ignore=ignored)
    (directory / "usr" / "bin").mkdir(parents=True)
    shutil.copy(Path(sys.executable).resolve(), directory / "usr" / "bin" / "python3")
    objects = [directory / "usr" / "bin" / "python3", *(library / "lib-dynload").glob("*.so")]
    said = subprocess.run(["ldd", *objects], capture_output=True, text=True, check=False).stdout
    for path in sorted({*re.findall(r"(/\S+) \(0x", said)}):
        # The loader is named by the programs; all else it looks for where libraries are.
        place = "lib64" if "/ld-linux" in path else "lib/x86_64-linux-gnu"
        (directory / place).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, directory / place)


@pytest.fixture
def system(toy: Checkout) -> Checkout:
    """A checkout whose set `full` holds a Python that can run it."""
    if os.uname().machine != "x86_64":
        pytest.skip("where the loader and its libraries lie is known for x86_64")
    plan = toy.root / "plan"
    (plan / "sets.yaml").write_text(FULL)
    (plan / "toolbox.yaml").write_text("every: [base]\n")
    for name in ("base", "kernel"):
        toy.recipe(name, RECIPES[name])
    toy.recipe("python", INSTALL)
    put_python(plan / "recipes" / "python")
    toy.recipe("first", "echo 1 > $share/first")
    toy.recipe("last", "cat /sysroot/usr/share/first > $share/last", "first")
    toy.variables["BQ2_SET"] = "full"
    return toy


def kept(checkout: Checkout) -> dict[str, str]:
    """The verdicts of second builds that the work directory keeps."""
    files = (checkout.root / "work" / "challenged").glob("*.json")
    return {path.stem: json.loads(path.read_text())["verdict"] for path in files}


@pytest.mark.fault(
    "`regenerate sources=no`, or `challenge seeds=self` so", "refused before anything is built"
)
def test_a_system_without_sources(system: Checkout) -> None:
    for words in (["regenerate"], ["challenge", "seeds=self"]):
        done = system.doit(*words, "sources=no")
        assert done.status != 0 and "sources=yes puts them into it" in done.said, done
        assert not done.built


@pytest.mark.timeout(900)
def test_a_system_that_is_its_own_seed_gives_itself(system: Checkout, tmp_path: Path) -> None:
    """Also the packages of a layer, which is in the system."""
    with_layer(system, tmp_path / "layer", below="first", of="full")
    done = system.doit("regenerate")
    assert done.status == 0, done.said
    assert "7 of 7 identical" in done.said
    assert set(kept(system).values()) == {"identical"} and len(kept(system)) == 7
    # Outside each phase once; inside the product again.
    assert done.built.count("first") == 2 and done.built.count("base") == 3, done

    again = system.doit("regenerate", "packages=first")
    assert again.status == 0, again
    assert again.built == ["first"] and "1 of 1 identical" in again.said

    # What it depends on, and what that depends on, is taken from the system.
    last = system.doit("regenerate", "packages=last")
    assert last.status == 0, last
    assert last.built == ["last"] and "1 of 1 identical" in last.said
    assert last.held == ["first"]

    system.recipe("first", "cat /proc/sys/kernel/random/uuid > $share/first")
    differs = system.doit("regenerate", "packages=first")
    assert differs.status == 1, differs
    assert "0 of 1 identical" in differs.said
    assert "differs: first: /usr/share/first" in differs.said
    assert kept(system)["rootfs-from-sysroot-first"] == "differs"


@pytest.mark.fault(
    "`regenerate in=vm` is interrupted after hours", "what was compared until then is kept"
)
def test_the_results_on_a_console() -> None:
    console = (
        b"=== bq2 run start\r\n"
        b"pkg:zlib            built in 30 s: 0.8 MB 0123456789ab (rootfs-from-sysroot)\r\n"
        b"\x1b[1mzlib: identical\x1b[0m\r\n"
        b"libc++: differs\r\n"
        b"make: error: identical\r\n"
        b"musl: identica"
    )
    assert said(console) == {"zlib": "identical", "libc++": "differs"}


def test_bad_words(system: Checkout) -> None:
    done = system.doit("regenerate", "packages=frst", "in=namespace")
    assert done.status != 0 and "did you mean first?" in done.said, done
    done = system.doit("regenerate", "in=nowhere")
    assert done.status != 0 and "in cannot be 'nowhere'" in done.said, done
    done = system.doit("regenerate", "seed=self")
    assert done.status != 0 and "this is not one" in done.said, done
    assert "Traceback" not in done.said


def test_a_set_without_a_compiler_says_so(toy: Checkout) -> None:
    done = toy.doit("regenerate")
    assert done.status != 0 and "doit regenerate set=full" in done.said, done
