"""doit report: the page of a checkout before, after and between builds."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from tests.tasks.page.checker import Checked
from tests.tasks.test_bundle import with_toy_wheel
from tests.tasks.toy import SCRIPTS, Checkout, doit, until

pytestmark = pytest.mark.namespace
NAME = "bootstrap-qcow2-base-x86_64"


def report(toy: Checkout, *words: str) -> Checked:
    """The page that doit writes."""
    done = toy.doit("report", *words)
    path = toy.root / "output" / f"{NAME}.report.html"
    assert done.status == 0 and done.said.splitlines()[-1] == str(path), done
    return Checked(path.read_text())


def test_before_anything_is_built(toy: Checkout) -> None:
    read = report(toy)
    assert "Not complete: 0 of 5 steps built." in read.text and read.texts.count("to build") == 5
    assert "none in this work directory" in read.text
    assert not (toy.root / "work" / "events.jsonl").exists(), "a report is no run"


def test_after_a_build(built: Checkout) -> None:
    assert built.doit("image").status == 0
    read = report(built)
    image = built.root / "output" / f"{NAME}.qcow2"
    assert str(image) in read.text
    assert "In the image, without what the set leaves out: 45 B, compressed about" in read.text
    assert hashlib.sha256(image.read_bytes()).hexdigest() in read.text
    assert "Complete: 5 of 5 steps built, and the image made of them." in read.text
    assert read.texts.count("up to date") == 5
    for name in SCRIPTS:
        stamp = built.stamp(name)
        assert stamp["artifact"] in read.text and stamp["step"] in read.text
    assert "doit image: it succeeded after" in read.text and "wrong" not in read.ids
    assert sum(1 for each in read.classes if each.startswith("bar ")) == 5
    # Transitively reduced: two edges from bottom, two to top, one to the kernel.
    assert sum(1 for each in read.classes if each.startswith("e") and " e" in each) == 5
    plan = built.plan()
    assert plan["digest"] in read.text and plan["product"] in read.text
    # The hash of a product is computed once.
    hashes = json.loads((built.root / "work" / "reports" / "hashes.json").read_text())
    assert [*hashes] == [str(image)]


def test_after_a_failure_with_hits_and_broken_lines(built: Checkout) -> None:
    report(built)
    shutil.rmtree(built.root / "work" / "stamps")
    built.recipe("left", "echo 'x: error: <b>bad</b>' >&2; exit 3", "bottom")
    with (built.root / "work" / "events.jsonl").open("a") as events:
        events.write('{"event": \n')
    assert built.doit("pkg").status != 0
    read = report(built)
    assert "✕ sysroot-from-seed:left: x: error: <b>bad</b>" in "".join(read.texts)
    assert "1 broken line ignored in" in read.text and "failed: left" in read.text
    assert read.texts.count("failed") == 1 and read.texts.count("to build") == 2
    assert sum(1 for each in read.classes if each.startswith("hit ")) == 2
    assert "Failed: 1 step; 2 of 5 steps built" in read.text
    assert "3 changes since the build before: left, top, kernel" in read.text


def test_what_changed_since_the_build_before(built: Checkout) -> None:
    assert "There is no earlier, different build" in report(built).text
    assert "There is no earlier, different build" in report(built).text
    built.edit("plan/recipes/left.yaml", "echo left >>", "echo other >>")
    built.edit("plan/recipes/left.yaml", "version: '1'", "version: '2'")
    assert built.doit("pkg").status == 0
    read = report(built)
    text = read.text
    assert "3 changes" in text and "1 → 2" in text
    assert text.count("other version") == 1 and text.count("other bytes") == 2
    assert report(built).text.count("other bytes") == 2, "until something else changes"


def test_a_product_of_before_is_told_as_such(built: Checkout) -> None:
    assert built.doit("image").status == 0
    assert "old file" not in report(built).texts
    image = str(built.root / "output" / f"{NAME}.qcow2")
    built.edit("plan/recipes/left.yaml", "echo left >>", "echo other >>")
    read = report(built)
    assert "old file" in read.texts and image in read.text and "to be made" in read.texts
    assert built.doit("image").status == 0
    assert "old file" not in report(built).texts
    Path(image).write_text("something else")
    assert "No image or tarball was made here yet." in report(built).text


def test_it_can_be_asked_for_while_a_build_runs(toy: Checkout) -> None:
    toy.recipe("bottom", "while [ ! -e /build/go ]; do sleep 0.1; done")
    process = toy.start(doit("pkg:bottom"))
    log = toy.root / "work" / "build" / "sysroot-from-seed" / "bottom" / "log"
    until(log.exists, "the step")
    until(lambda: "is running: bottom" in report(toy).text, "the bar")
    assert "A run is building: 0 of 5 steps built." in report(toy).text
    assert "doit pkg:bottom: it is running, for " in report(toy).text
    process.terminate()
    process.communicate()


def test_output_names_the_file_and_is_no_product(built: Checkout, tmp_path: Path) -> None:
    assert built.doit("image").status == 0
    path = tmp_path / "other.html"
    done = built.doit("report", f"output={path}")
    assert done.status == 0 and done.said.splitlines()[-1] == str(path), done
    assert f"{NAME}.qcow2" in Checked(path.read_text()).text


def test_a_directory_that_may_not_be_written_to_is_one_error(toy: Checkout, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = toy.doit("report", f"output={tmp_path / 'file' / 'x.html'}")
    assert done.status != 0 and "Traceback" not in done.said, done
    assert done.said.startswith("ERROR: ") and str(tmp_path / "file") in done.said


def test_overrides_and_the_bundle_are_told(built: Checkout) -> None:
    assert with_toy_wheel(built).doit("bundle").status == 0
    (built.root / "work" / "overrides.yaml").write_text("left: {version: '7'}\n")
    read = report(built)
    assert "overrides.yaml changes the recipes of left." in read.text
    assert str(built.root / "output" / f"{NAME}.bundle.tar") in read.text
    assert "7" in read.texts and read.texts.count("to build") == 3
