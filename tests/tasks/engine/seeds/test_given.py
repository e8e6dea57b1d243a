"""seed=PATH: roots of other people, with the real machinery and a toy's data."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.plan.seeding.test_path import elf
from tests.tasks.toy import Checkout, make_checkout

KNOWN = """\
oldest: 17
clang: [usr/bin]
zig: []
loaders: {}
tools: {make: [make], python: [python3], libelf: [/usr/include/gelf.h], perl: [perl]}
programs: [sh, cat, awk]
seldom: {patch: a package with patches}
needs_zig: [seed-libelf]
"""
MAKES = """\
makes:
  seed-make: [make]
  seed-python: [python]
  seed-libelf: [libelf]
  seed-perl: [perl]
"""


@pytest.fixture
def lacking(tmp_path: Path, toy: Checkout, template: Path) -> Checkout:
    """A checkout whose seed lacks make, Python, libelf and awk, but has a Perl that is broken."""
    root = shutil.copytree(toy.seed, tmp_path / "mine", symlinks=True)
    (root / "usr" / "bin" / "perl").write_text("#!/bin/sh\necho broken; exit 1\n")
    (root / "usr" / "bin" / "perl").chmod(0o755)
    checkout = make_checkout(template, tmp_path / "c", cache=tmp_path / "c-cache", seed=root)
    checkout.alpine("0" * 64, 1, "https://alpine.test/x")
    seeds = checkout.root / "plan" / "seeds"
    (seeds / "path.yaml").write_text(KNOWN)
    with (seeds / "alpine.yaml").open("a") as file:
        file.write(MAKES)
    (checkout.root / "plan" / "toolbox.yaml").write_text("every: []\n")
    for tool in ("make", "python", "libelf", "perl"):
        checkout.recipe(tool, ":")
        script = f"mkdir -p /dest/usr/bin; echo 'echo {tool}' > /dest/usr/bin/{tool}; "
        checkout.recipe(f"seed-{tool}", f"{script}chmod 755 /dest/usr/bin/{tool}")
    checkout.recipe("top", "make > $share/top", "left", "right", tools="[make]")
    return checkout


@pytest.mark.namespace
def test_what_the_root_lacks_is_made_first(lacking: Checkout) -> None:
    done = lacking.builds("seed-make", "bottom", "left", "right", "top", "kernel")
    assert done.built.index("seed-make") < done.built.index("top")
    assert lacking.tree("top", "usr/share/top").read_text() == "make\n"


@pytest.mark.namespace
def test_doctor_says_tool_by_tool_what_the_root_has(lacking: Checkout) -> None:
    said = lacking.doit("doctor", "offline=1").said
    rows = dict(re.findall(r"^ {16}(\S+(?: \S+)?) {2,}(\S+(?: \S+)?)(?: {2,}|$)", said, re.M))
    assert rows == {
        "shell": "has",
        "programs": "has",
        "awk": "missing",
        "patch": "has",
        "clang": "has",
        "compiles": "works",
        "host C": "works",
        "host C++": "works",
        "make": "made first",
        "python": "made first",
        "libelf": "missing",
        "perl": "fails",
    }, said
    assert re.search(r"^FAIL +seed +mine ", said, re.M) and "broken" in said
    told = " ".join(said.split())
    assert "made first by seed-make" in told and "every build needs it" in told


@pytest.mark.namespace
def test_doctor_unpacks_a_tarball_to_try_it(toy: Checkout, tmp_path: Path) -> None:
    path = _tarball(tmp_path / "mine", toy.seed)
    done = toy.doit("doctor", "offline=1", f"seed={path}")
    assert done.status == 0 and re.search("host C[+][+] +works", done.said), done
    assert not (toy.cache / "trees").exists()
    assert not [*toy.root.rglob("try-*")]


@pytest.mark.fault(
    "seed=PATH: a root whose compiler does not compile", "one error, before anything is built"
)
@pytest.mark.namespace
def test_a_compiler_that_fails(lacking: Checkout) -> None:
    (lacking.seed / "usr" / "bin" / "clang").write_text("#!/bin/sh\necho no memory; exit 1\n")
    done = lacking.doit("pkg")
    assert done.status != 0 and not done.built, done
    assert "its compiler fails (compiles): no memory" in done.said, done
    assert "no memory" in lacking.doit("doctor", "offline=1").said


def _page(root: Path) -> Path:
    file = root.with_suffix(".tar.gz")
    file.write_text("<html>This file is not here.</html>\n" * 40)
    return file


def _of_another_machine(root: Path) -> Path:
    (root / "usr" / "bin" / "busybox").write_bytes(elf(183))
    return root


def _without_shell(root: Path) -> Path:
    (root / "usr" / "bin" / "sh").unlink()
    return root


def _in_a_directory(root: Path) -> Path:
    return _tarball(root, root.parent, root.name)


def _tarball(root: Path, above: Path, name: str = ".") -> Path:
    file = root.with_suffix(".tar")
    subprocess.run(["tar", "-C", above, "-cf", file, name], check=True)
    return file


def _cut_off(root: Path) -> Path:
    file = _tarball(root, root)
    os.truncate(file, file.stat().st_size // 2)
    return file


@pytest.mark.parametrize(
    ("spoilt", "why"),
    [
        pytest.param(make, why, marks=pytest.mark.fault(f"seed=PATH: {what}", "one error"), id=what)
        for what, make, why in (
            ("a page instead of a tarball", _page, "no tarball that can be read"),
            ("a tarball that is cut off", _cut_off, "it ends in the middle"),
            ("a root for another machine", _of_another_machine, "is a root for aarch64"),
            ("a root without a shell", _without_shell, "has no /bin/sh"),
            ("a tarball with the root in a directory", _in_a_directory, "has no /bin/sh"),
        )
    ],
)
def test_a_root_that_cannot_be_used(
    toy: Checkout, tmp_path: Path, spoilt: Callable[[Path], Path], why: str
) -> None:
    root = shutil.copytree(toy.seed, tmp_path / "mine", symlinks=True)
    path = spoilt(root)
    done = toy.doit("pkg", f"seed={path}")
    assert done.status != 0 and not done.built, done
    assert why in done.said and str(path) in done.said and "Traceback" not in done.said, done
    assert not (toy.root / "work" / "stamps").exists()


@pytest.mark.fault(
    "seed=PATH: a root whose hash is not that of seed_sha256", "one error, with both hashes"
)
def test_the_hash_of_a_root_may_be_given(toy: Checkout, tmp_path: Path) -> None:
    path = _tarball(tmp_path / "mine", toy.seed)
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    assert toy.doit("plan", f"seed={path}", f"seed_sha256={right}").status == 0
    done = toy.doit("plan", f"seed={path}", f"seed_sha256={'0' * 64}")
    assert done.status != 0 and f"its sha256 is {right}, not {'0' * 64}" in done.said, done
    done = toy.doit("plan", f"seed_sha256={right}")
    assert done.status != 0 and "a directory has no sha256" in done.said, done


@pytest.mark.namespace
def test_a_tarball_is_read_once(toy: Checkout, tmp_path: Path) -> None:
    path = _tarball(tmp_path / "mine", toy.seed)
    toy.builds("bottom", words=("pkg:bottom", f"seed={path}"))
    kept = toy.cache / "roots.json"
    (key, found), *others = json.loads(kept.read_text()).items()
    assert found["machine"] == "x86_64" and not others
    # It is believed for as long as the file is the same one, and only then.
    kept.write_text(json.dumps({key: {**found, "machine": "aarch64"}}))
    assert "is a root for aarch64" in toy.doit("plan", f"seed={path}").said
    os.utime(path, (0, 0))
    assert toy.doit("plan", f"seed={path}").status == 0
    for broken in ("", "[]", json.dumps({key: {"other": 1}})):
        kept.write_text(broken)
        assert toy.doit("plan", f"seed={path}").status == 0
