"""attest: the proof of a toy image is sound, and a change at any place of it is found."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.tasks.toy import Checkout, make_checkout

pytestmark = pytest.mark.namespace

Row = dict[str, Any]


@pytest.fixture(scope="module")
def attested(tmp_path_factory: pytest.TempPathFactory, template: Path, seed: Path) -> Checkout:
    """A checkout with an image, of which one step was built twice, and its attestation."""
    place = tmp_path_factory.mktemp("attested")
    toy = make_checkout(template, place / "checkout", cache=place / "cache", seed=seed)
    assert toy.doit("image").status == 0
    assert toy.doit("verify", "packages=left", "variations=jobs").status == 0
    # What the second build found is beside the image, not in it.
    assert "only its provenance is written again" in toy.doit("image").said
    done = toy.doit("attest")
    assert done.status == 0 and "check.py" in done.said, done
    return toy


def image(toy: Checkout) -> Path:
    return toy.root / "output" / "bootstrap-qcow2-base-x86_64.qcow2"


def checked(directory: Path, *words: Path) -> tuple[int, str]:
    """What the program in `directory` finds, as a stranger runs it."""
    done = subprocess.run(
        [sys.executable, "-I", directory / "check.py", *words],
        capture_output=True, text=True, check=False, env={}, cwd="/",
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_a_sound_one(attested: Checkout, tmp_path: Path) -> None:
    own = image(attested)
    directory = shutil.copytree(f"{own}.attest", tmp_path / "elsewhere")
    status, said = checked(directory, own)
    assert status == 0 and "WRONG" not in said, said
    assert "ok    the image" in said
    assert "\n  jobs             1 of 5\n" in said and f"on {os.uname().machine}, Linux" in said
    # Without an image it says what it does not say.
    status, said = checked(directory)
    assert status == 0 and "not which" in said, said
    done = attested.doit("attest", "check", str(directory), f"image={own}")
    assert done.status == 0 and "ok    the provenance" in done.said, done


@pytest.mark.fault(
    "`attest` after the signature was removed", "no old signature stays in the attestation"
)
def test_an_old_signature(attested: Checkout) -> None:
    old = Path(f"{image(attested)}.attest") / "provenance.json.sig"
    old.write_text("of another image")
    done = attested.doit("attest")
    assert done.status == 0 and not old.exists(), done


def command(row: Row) -> None:
    row["inputs"]["step"]["commands"][0]["argv"][-1] += "; true"


def artifact(row: Row) -> None:
    row["artifact"] = "0" * 64


def root(row: Row) -> None:
    row["inputs"]["build_root"] = "0" * 64


def verdict(row: Row) -> None:
    row["verdict"] = "differs"


@pytest.mark.fault("a line of an attestation is changed", "its check names the step, status 1")
@pytest.mark.parametrize(
    ("file", "change", "found"),
    [
        ("steps.jsonl", command, "its inputs give another id"),
        ("steps.jsonl", command, "these are not the steps of its plan"),
        ("steps.jsonl", artifact, "another step or artifact"),
        ("steps.jsonl", artifact, "it used another bottom"),
        ("steps.jsonl", root, "it was built in another root"),
        ("verdicts.jsonl", verdict, "sysroot-from-seed-left: differs (jobs"),
    ],
)
def test_a_change_is_found(
    attested: Checkout, tmp_path: Path, file: str, change: Callable[[Row], None], found: str
) -> None:
    directory = shutil.copytree(f"{image(attested)}.attest", tmp_path / "it")
    rows = [json.loads(line) for line in (directory / file).read_text().splitlines()]
    change(rows[0])
    (directory / file).write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    status, said = checked(directory, image(attested))
    assert status == 1 and found in said, said


@pytest.mark.fault(
    "all files of an attestation name another artifact", "the id of its user is wrong"
)
def test_a_consistent_lie(attested: Checkout, tmp_path: Path) -> None:
    directory = shutil.copytree(f"{image(attested)}.attest", tmp_path / "it")
    first = json.loads((directory / "steps.jsonl").read_text().splitlines()[0])
    for name in ("steps.jsonl", "provenance.json"):
        text = (directory / name).read_text()
        (directory / name).write_text(text.replace(first["artifact"], "0" * 64))
    status, said = checked(directory, image(attested))
    assert status == 1 and "its inputs give another id" in said, said


@pytest.mark.fault("an attestation is checked with another image", "its check says so, status 1")
def test_another_image(attested: Checkout, tmp_path: Path) -> None:
    other = tmp_path / "other.qcow2"
    other.write_bytes(image(attested).read_bytes() + b"\0")
    status, said = checked(Path(f"{image(attested)}.attest"), other)
    assert status == 1 and "WRONG the image\n        other.qcow2: its sha256 is" in said


@pytest.mark.fault("an attestation is not there, or is none", "one error; no traceback")
def test_no_attestation(attested: Checkout, tmp_path: Path) -> None:
    done = attested.doit("attest", "check", str(tmp_path))
    assert done.status != 0 and "there is no attestation" in done.said, done
    done = attested.doit("attest", "check")
    assert done.status != 0 and "no attestation is named" in done.said, done
    done = attested.doit("attest", "chek", str(tmp_path))
    assert done.status != 0 and "attest takes check PATH" in done.said, done
    told = {"{": "it is not JSON", "[]": "other files", '{"predicate": 1}': "other files"}
    for content, reason in told.items():
        directory = shutil.copytree(
            f"{image(attested)}.attest", tmp_path / "it", dirs_exist_ok=True
        )
        (directory / "provenance.json").write_text(content)
        status, said = checked(directory)
        assert status == 1 and "cannot be read" in said and "Traceback" not in said, said
        assert reason in said, said


@pytest.mark.fault(
    "an attestation whose names move the cursor of the terminal, or that is nested too deeply",
    "the names are printed as they are spelled; no traceback",
)
def test_what_somebody_else_wrote(attested: Checkout, tmp_path: Path) -> None:
    directory = shutil.copytree(f"{image(attested)}.attest", tmp_path / "it")
    steps = directory / "steps.jsonl"
    first, *rest = steps.read_text().splitlines()
    row = json.loads(first) | {"task": "\x1b[1A\x1b[2Kok    step ids\ud800", "id": "0" * 64}
    steps.write_text("\n".join([json.dumps(row), *rest]))
    status, said = checked(directory)
    assert status == 1 and "\x1b" not in said and "\\x1b[1A" in said and "\\ud800" in said, said
    deep = "[" * 100_000
    for name, text in (("steps.jsonl", deep), ("steps.jsonl", "[]"), ("verdicts.jsonl", "3")):
        (directory / name).write_text(text)
        status, said = checked(directory)
        assert status == 1 and "cannot be read" in said and "Traceback" not in said, said


@pytest.mark.fault(
    "`attest` where the provenance of the image is damaged", "its file, and what writes it again"
)
def test_a_damaged_provenance(attested: Checkout) -> None:
    own = image(attested)
    told = own.with_name(f"{own.name}.provenance.json")
    before = told.read_text()
    for content in ("{", "[]", '{"subject": 1}'):
        told.write_text(content)
        done = attested.doit("attest")
        assert done.status != 0, done
        assert re.search(r"doit image set=base seed=\S+ writes it again", done.said), done
        assert f"{told}" in done.said and "Error(" not in done.said, done
    told.write_text(before)


def test_another_image_than_the_last(attested: Checkout) -> None:
    done = attested.doit("attest", f"image={image(attested)}")
    assert done.status != 0 and "attest does not take it" in done.said, done
    done = attested.doit("attest", "check", f"{image(attested)}.attest", "image=/dev/null")
    assert done.status != 0 and done.said.count("\n") == 2, done


@pytest.mark.fault(
    "`attest` of an image that leaves out a package of the set, which is not built",
    "it says what must be built, not that the disk has errors",
)
def test_a_step_that_the_image_does_not_need(attested: Checkout) -> None:
    stamp = attested.root / "work" / "stamps" / "sysroot-from-seed" / "left.json"
    content = stamp.read_bytes()
    stamp.unlink()
    try:
        done = attested.doit("attest")
        assert done.status != 0 and "sysroot-from-seed:left: is not built" in done.said, done
        assert "doit pkg" in done.said
    finally:
        stamp.write_bytes(content)


@pytest.mark.fault("there is no image to be attested", "one error that says what makes it")
def test_no_image(toy: Checkout) -> None:
    done = toy.doit("attest")
    assert done.status != 0 and "there is no image" in done.said, done


@pytest.mark.fault("a file that is not UTF-8 in an attestation, or a file in its place", "its path")
def test_what_is_not_text(attested: Checkout) -> None:
    directory = Path(f"{image(attested)}.attest")
    (directory / "verdicts.jsonl").write_bytes(b"\xff\xfe")
    done = attested.doit("attest", "check", str(directory))
    assert done.status == 1, done
    assert done.said.endswith(f"{directory}/verdicts.jsonl: cannot be read: it is not UTF-8\n")
    shutil.rmtree(directory)
    directory.touch()
    done = attested.doit("attest")
    assert done.status != 0 and f"{directory}: is in the way" in done.said, done
    directory.unlink()


@pytest.mark.fault(
    "the provenance of an image is written again after it was signed",
    "the signature of the older one is removed, and the run says so",
)
@pytest.mark.fault("`clean image`", "nothing of its proof stays")
def test_a_signature_of_an_older_provenance(attested: Checkout) -> None:
    own = image(attested)
    signed = own.with_name(f"{own.name}.provenance.json.sig")
    signed.write_text("of this provenance")
    assert attested.doit("image").status == 0 and signed.exists()
    assert attested.doit("verify", "packages=left", "variations=umask").status == 0
    done = attested.doit("image")
    assert done.status == 0 and f"{signed}: removed" in done.said and not signed.exists(), done
    assert attested.doit("clean", "-n", "image").status == 0 and own.exists()
    assert attested.doit("clean", "image").status == 0
    assert not [*own.parent.glob(f"{own.name}*")]
