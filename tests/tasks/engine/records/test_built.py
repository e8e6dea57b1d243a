"""The last build is meant by commands that look at a product."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.tasks.toy import Checkout, doit, two_sets


@pytest.mark.namespace
def test_the_last_build_is_meant(toy: Checkout) -> None:
    two_sets(toy)
    seed = f"seed={toy.seed}"

    def ask(*words: str) -> str:
        return toy.run(["env", "-u", "BQ2_SET", "-u", "BQ2_SEED", *doit(*words)]).said

    assert "as built here last" not in ask("licenses", seed)
    assert toy.doit("image", seed, "set=base", "with=").status == 0
    told = f"set=base arch=x86_64 {seed}, as built here last\n"
    assert ask("licenses").startswith(told)
    # What is given wins, and another build is meant only if it agrees.
    assert "as built here last" not in ask("licenses", seed, "set=full")
    assert ask("licenses", "arch=x86_64").startswith(told)
    # Commands that build mean what they say.
    assert "as built here last" not in ask("plan", seed)
    assert toy.doit("image", seed, "set=full").status == 0
    assert ask("licenses").startswith("set=full ")
    assert toy.doit("image", seed, "set=base").status == 0
    assert ask("licenses").startswith(told)
    records = json.loads((toy.root / "work" / "built.json").read_text())
    assert [each["set"] for each in records] == ["base", "full"]
    # A build that failed, or goes on, is one too.
    toy.recipe("top", "exit 3", "left", "right")
    assert toy.doit("image", seed, "set=full").status != 0
    for words in (["status"], ["list", "pkg"], ["why", "pkg:top"], ["log", "-f", "pkg:top"]):
        assert ask(*words).startswith("set=full ")


@pytest.mark.namespace
@pytest.mark.fault(
    "a remedy of a command that means the last build; seed=auto in local.yaml",
    "the remedy has the parameters of that build; the build is meant all the same",
)
def test_what_is_told_means_that_build_too(toy: Checkout) -> None:
    two_sets(toy)

    def ask(*words: str) -> str:
        return toy.run(["env", "-u", "BQ2_SET", "-u", "BQ2_SEED", *doit(*words)]).said

    assert toy.doit("image", f"seed={toy.seed}", "set=base", "with=").status == 0
    (toy.root / "output" / "bootstrap-qcow2-base-x86_64.qcow2").unlink()
    assert f"doit image set=base seed={toy.seed} makes it" in ask("inspect")
    (toy.root / "local.yaml").write_text("seed: auto\n")
    assert ask("licenses").startswith("set=base "), "auto names no seed"


@pytest.mark.namespace
@pytest.mark.fault("the recipe of the last build's with= is gone", "the build before it is meant")
def test_a_package_that_is_gone(toy: Checkout) -> None:
    recipe = toy.recipe("extra", "echo extra > $share/extra", "bottom")
    assert toy.doit("image").status == 0
    assert toy.doit("image", "with=extra").status == 0
    assert "with=extra" in toy.doit("licenses").said.splitlines()[0]
    recipe.unlink()
    done = toy.doit("licenses")
    assert done.status == 0 and "with=" not in done.said.splitlines()[0], done


@pytest.mark.namespace
@pytest.mark.fault(
    "a layer of the last build is wrong by now", "commands that do not name the layer work"
)
def test_a_layer_that_is_wrong(toy: Checkout, tmp_path: Path) -> None:
    layer = tmp_path / "mine"
    (layer / "files").mkdir(parents=True)
    (layer / "files" / "note").touch()
    assert toy.doit("image", f"layer={layer}").status == 0
    (layer / "sets.yaml").write_text("My Set:\n  extends: base\n")
    assert toy.doit("image").status == 0
    done = toy.doit("licenses")
    assert done.status == 0 and "layer=" not in done.said.splitlines()[0], done


@pytest.mark.fault("the record of the last build is damaged", "it counts as none")
@pytest.mark.parametrize("content", ["{", "[1]", '[{"set": "base"}]', "null", "\x00"])
def test_a_damaged_record(toy: Checkout, content: str) -> None:
    (toy.root / "work").mkdir()
    (toy.root / "work" / "built.json").write_text(content)
    done = toy.doit("licenses")
    assert done.status == 0 and "as built here last" not in done.said, done
