"""challenge: two seeds, one product; parts that depend on the seed are found and reported."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.rootfs.tools import tool
from tests.tasks.toy import COMPILER, DEPENDS, SCRIPTS, Checkout

SETS = """\
base:
  phase: sysroot-from-seed
  packages: [top]
  exclude: []
"""

pytestmark = pytest.mark.namespace


def verdicts(toy: Checkout) -> dict[str, dict[str, Any]]:
    directory = toy.root / "work" / "challenged"
    prefix = "sysroot-from-seed-"
    found = {path.stem.removeprefix(prefix): path.read_text() for path in directory.glob("*.json")}
    return {name: json.loads(text) for name, text in found.items()}


@pytest.fixture
def challenged(toy: Checkout) -> Checkout:
    """Its seed is a directory; the seed alpine is a tarball of it, but for one file."""
    # Other tests have the seed too.
    toy.seed = shutil.copytree(toy.seed, toy.root.parent / "seed", symlinks=True)
    mark = toy.seed / "etc" / "mark"
    mark.parent.mkdir(exist_ok=True)
    mark.write_text("alpine\n")
    tarball = toy.root / "seed.tar"
    tool("tar", "-cf", tarball, "-C", toy.seed, ".")
    mark.write_text("directory\n")
    data = tarball.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    (toy.cache / "sources").mkdir(parents=True, exist_ok=True)
    tarball.rename(toy.cache / "sources" / sha256)
    toy.alpine(sha256, len(data), "https://x.test/seed")
    # A kernel would carry the name of the seed.
    (toy.root / "plan" / "sets.yaml").write_text(SETS)
    toy.variables["BQ2_SEEDS"] = "alpine"
    return toy


def test_what_does_not_depend_on_the_seed_is_the_same(challenged: Checkout) -> None:
    done = challenged.doit("challenge")
    assert done.status == 0, done
    assert "alpine: 4 of 4 identical" in done.said
    assert done.built.count("right") == 2  # by each seed once
    found = verdicts(challenged)
    assert set(found) == {*DEPENDS}
    assert all(each["verdict"] == "identical" for each in found.values())
    again = challenged.doit("challenge")
    assert again.status == 0 and not again.built, again


def test_one_package_is_compared(challenged: Checkout) -> None:
    done = challenged.doit("challenge", "packages=left")
    assert done.status == 0, done
    assert "alpine: 1 of 1 identical" in done.said
    assert sorted(done.built) == ["bottom", "bottom", "left", "left"]
    assert set(verdicts(challenged)) == {"left"}
    assert challenged.doit("challenge", "packages=left").built == []
    said = challenged.doit("challenge", "packages=lef").said
    assert "did you mean left" in said and "Traceback" not in said, said


def test_the_proof_beside_the_product_tells_of_the_challenge(challenged: Checkout) -> None:
    assert challenged.doit("challenge").status == 0
    assert challenged.doit("sysroot").status == 0
    beside = next((challenged.root / "output").glob("*.provenance.json"))
    steps = json.loads(beside.read_text())["predicate"]["buildDefinition"]["resolvedDependencies"]
    top = next(each for each in steps if each["name"] == "sysroot-from-seed:top")
    told = {"variations": ["seed=alpine"], "verdict": "identical"}
    assert told in top["annotations"]["verified"]


def test_what_depends_on_the_seed_is_named_with_the_place(challenged: Checkout) -> None:
    challenged.recipe("right", f"{SCRIPTS['right']}; cat /etc/mark >> $share/right", "bottom")
    done = challenged.doit("challenge")
    assert done.status == 1, done
    assert "alpine: 2 of 4 identical" in done.said
    assert "differs: right: /usr/share/right" in done.said, done
    found = verdicts(challenged)
    assert found["right"]["verdict"] == "differs" and found["left"]["verdict"] == "identical"
    assert found["right"]["differences"][0]["path"] == "/usr/share/right"
    # Mended, it counts as it is now.
    challenged.recipe("right", SCRIPTS["right"], "bottom")
    assert challenged.doit("challenge").status == 0
    assert verdicts(challenged)["right"]["verdict"] == "identical"


@pytest.mark.fault("a seed that one package cannot be built from", "named; the others are compared")
def test_what_one_seed_cannot_build_is_told(challenged: Checkout) -> None:
    script = f"{SCRIPTS['right']}; grep -q directory /etc/mark"
    challenged.recipe("right", script, "bottom")
    done = challenged.doit("challenge")
    assert done.status == 1
    lines = [line.split() for line in done.said.splitlines()]
    assert ["left", lines[[line[:1] for line in lines].index(["left"])][1], "the", "same"] in lines
    assert any(line[:1] == ["right"] and line[2:] == ["not", "built"] for line in lines), done
    assert "alpine: 2 of 4 identical" in done.said
    challenged.recipe("right", SCRIPTS["right"], "bottom")
    again = challenged.doit("challenge")
    assert again.status == 0 and "left" not in again.built, again


@pytest.mark.fault(
    "another seed cannot build a changed recipe, and has the artifacts of an earlier challenge",
    "they do not count; nor do overrides that are gone",
)
def test_what_is_left_of_an_earlier_challenge(challenged: Checkout) -> None:
    overrides = challenged.root / "work" / "overrides.yaml"
    overrides.parent.mkdir(exist_ok=True)
    overrides.write_text("left:\n  environment: {MINE: '1'}\n")
    assert challenged.doit("challenge").status == 0
    overrides.unlink()
    challenged.recipe("bottom", f"{SCRIPTS['bottom']}; grep -q directory /etc/mark")
    done = challenged.doit("challenge")
    assert done.status == 1 and "alpine: 0 of 4 identical" in done.said, done
    assert not (challenged.root / "work/challenge/alpine/overrides.yaml").exists()


@pytest.mark.fault("a seed that cannot be fetched", "every place and why; which seed works now")
@pytest.mark.parametrize("other", [True, False])
def test_a_seed_that_cannot_be_had_names_one_that_can(other: bool, challenged: Checkout) -> None:
    """The seed debian of this checkout is one package that no place has."""
    seeds = challenged.root / "plan" / "seeds"
    package = "{name: gone, version: '1', size: 1, path: pool/main/g/gone/gone_1.deb, sha256: HASH}"
    lock = ["suite: trixie", "snapshot: 20260913T075541Z", "packages:", f"- {package}", ""]
    (seeds / "debian-x86_64.lock.yaml").write_text("\n".join(lock).replace("HASH", "0" * 64))
    authored = [
        "archive: {suite: trixie, component: main}",
        COMPILER,
        "architectures: {x86_64: {archive: amd64}}",
        "wanted: {gone: a toy}",
    ]
    (seeds / "debian.yaml").write_text("\n".join([*authored, ""]))
    if not other:
        for file in (challenged.cache / "sources").iterdir():
            file.unlink()
    mirror = "http://127.0.0.1:9/debian"
    done = challenged.doit("seed", "seed=debian", "strict=1", f"mirror={mirror}")
    assert done.status != 0
    assert f"{mirror}/pool/main/g/gone/gone_1.deb" in done.said
    assert ("seed=alpine works now: the cache has all of it" in done.said) == other, done


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        ("self", "has no compiler, so it cannot be a seed"),
        ("alpin", "did you mean alpine"),
    ],
)
def test_seeds_that_cannot_be_compared(
    seeds: str, message: str, challenged: Checkout, tmp_path: Path
) -> None:
    done = challenged.doit("challenge", f"seeds={seeds}")
    assert done.status != 0 and message in done.said, done
