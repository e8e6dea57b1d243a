"""Paths that are not UTF-8, and relative paths, on the real command line."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from tests.rootfs.tools import tool
from tests.tasks.toy import Checkout, Done, make_checkout

pytestmark = pytest.mark.namespace

NAME = os.fsdecode(b"caf\xe9")


def well(done: Done) -> str:
    assert done.status == 0 and "Traceback" not in done.said, done
    return done.said


@pytest.mark.fault(
    "the checkout, the cache and the seed lie in a directory whose name is not UTF-8",
    "all is built, shown and written, and is the same as elsewhere",
)
def test_all_in_such_a_directory(template: Path, built: Checkout, tmp_path: Path) -> None:
    there = tmp_path / NAME
    there.mkdir()
    seed = there / "seed"
    tool("cp", "-a", built.seed, seed)
    toy = make_checkout(template, there / "checkout", cache=there / "cache", seed=seed)
    for words in ("image", "sysroot", "plan", "report", "status", "list", "list pkg", "settings"):
        well(toy.doit(*words.split()))
    for words in ("why pkg:top", "inspect", "fsck", "gc keep=1", "verify packages=bottom"):
        well(toy.doit(*words.split()))
    assert json.loads((toy.root / "work" / "plan.json").read_text())["steps"]
    for package in ("bottom", "top", "kernel"):
        assert toy.stamp(package)["artifact"] == built.stamp(package)["artifact"]
    page = (toy.root / "output" / "bootstrap-qcow2-base-x86_64.report.html").read_bytes()
    assert page.decode("utf-8")


@pytest.mark.fault(
    "a parameter is a path that is not UTF-8", "it is used, and shown as far as it can be"
)
def test_parameters_that_are_no_utf8(toy: Checkout) -> None:
    toy.recipe("left", "exit 3", "bottom")
    words = [f"workdir={NAME}", f"output={NAME}.img"]
    done = toy.doit("image", *words)
    assert "pkg:left FAILED" in done.said and "Traceback" not in done.said
    assert (toy.root / NAME / "failures").is_dir()
    for each in ("status json=1", "log pkg:left", "report", "why pkg:left"):
        assert "Traceback" not in toy.doit(*each.split(), words[0]).said
    toy.recipe("left", "echo left > $share/left", "bottom")
    well(toy.doit("image", *words))
    assert (toy.root / f"{NAME}.img").is_file()


@pytest.mark.fault(
    "a path is relative to where the person stands, and that is not the checkout",
    "it is taken from there; a path in local.yaml from the checkout",
)
def test_relative_paths(built: Checkout, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    command = [sys.executable, "-m", "doit", "-f", "../built/checkout/dodo.py"]
    from_there = ["sh", "-c", f'cd {elsewhere} && exec "$@"', "sh", *command]
    well(built.run([*from_there, "image", "output=deep/x.img"], BQ2_WORKDIR="w"))
    assert (elsewhere / "deep" / "x.img").is_file() and (elsewhere / "w" / "stamps").is_dir()
    assert not (built.root / "deep").exists() and not (built.root / "w").exists()
    (elsewhere / "deep" / "x.img").rename(elsewhere / "y.img")
    done = built.run([*from_there, "inspect", "image=y.img"])
    assert "y.img" in done.said and "cannot be" not in done.said, done
    done = built.run([*from_there, "inspect", "image=none.img"])
    assert done.status != 0 and "image cannot be 'none.img'" in done.said
    # A name in the checkout is none of there, nor the other way round.
    done = built.run([*from_there, "seed", "seed=./plan"])
    assert done.status != 0 and "seed cannot be './plan'" in done.said
    (built.root / "local.yaml").write_text("workdir: of-the-file\n")
    well(built.run([*from_there, "plan"]))
    assert (built.root / "of-the-file" / "plan.json").is_file()
