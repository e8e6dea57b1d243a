"""What a command needs at its end is looked for before it begins; what was built last is kept."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tasks import forecast
from tests.tasks.toy import Checkout, doit


def without_programs(directory: Path) -> str:
    """A PATH with hardly anything in it."""
    for name in ("sh", "true"):
        (directory / name).symlink_to(str(shutil.which(name)))
    return os.fspath(directory)


def refused(toy: Checkout, *words: str, **variables: str) -> str:
    done = toy.doit(*words, **variables)
    assert done.status != 0 and done.said.count("ERROR: ") == 1, done
    assert done.built == [] and not (toy.root / "work" / "stamps").exists(), done
    return done.said


@pytest.mark.fault(
    "`./bq2 boot` on a machine without QEMU", "it says what to install before it builds anything"
)
@pytest.mark.parametrize("words", ["boot", "boot run=about"])
def test_no_qemu(toy: Checkout, tmp_path: Path, words: str) -> None:
    said = refused(toy, *words.split(), PATH=without_programs(tmp_path))
    assert "qemu-system-x86_64 is not installed" in said and "qemu-system-x86 ovmf" in said


def test_no_firmware(toy: Checkout) -> None:
    assert "no such file: /none" in refused(toy, "boot", BQ2_FIRMWARE="/none")


@pytest.mark.fault(
    "`./bq2 sign` without a key, or without ssh-keygen", "it says so before it builds the image"
)
def test_sign(toy: Checkout, tmp_path: Path) -> None:
    assert "no key is given" in refused(toy, "sign")
    key = tmp_path / "key"
    key.write_text("")
    tools = tmp_path / "tools"
    tools.mkdir()
    for command in ("sign", "inspect"):
        said = refused(toy, command, f"key={key}", PATH=without_programs(tools))
        assert "openssh-client" in said
        shutil.rmtree(tools)
        tools.mkdir()


@pytest.mark.fault(
    "a command that builds for long names what does not exist: a package, a tree, a seed, a set "
    "without a compiler; or a shell has no terminal",
    "the error comes before the first step",
)
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("verify packages=bottom,tpo", "did you mean top?"),
        ("regenerate", "has no compiler"),
        ("challenge seeds=self", "it cannot be a seed"),
        ("shell pkg:tpo", "did you mean pkg:top?"),
        ("shell seeed", "did you mean seed?"),
        ("shell", "there is no terminal for a shell"),
    ],
)
def test_what_is_not_there(toy: Checkout, words: str, message: str) -> None:
    assert message in refused(toy, *words.split())


@pytest.mark.fault(
    "`./bq2 boot` before anything was built", "it says what to build, and how long that takes"
)
def test_nothing_is_built(toy: Checkout) -> None:
    command = ["env", "-u", "BQ2_SET", *doit("boot")]
    full = (toy.root / "plan" / "sets.yaml").read_text().replace("base:", "full:")
    with (toy.root / "plan" / "sets.yaml").open("a") as file:
        file.write(full)
    done = toy.run(command)
    assert done.status != 0 and "no image was built here yet" in done.said, done
    assert "doit image set=base takes about" in done.said and not done.built
    assert not (toy.root / "work" / "stamps").exists()


@pytest.mark.namespace
def test_the_last_build_is_meant(toy: Checkout) -> None:
    full = (toy.root / "plan" / "sets.yaml").read_text().replace("base:", "full:")
    with (toy.root / "plan" / "sets.yaml").open("a") as file:
        file.write(full)
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


@pytest.mark.fault("the record of the last build is damaged", "it counts as none")
@pytest.mark.parametrize("content", ["{", "[1]", '[{"set": "base"}]', "null", "\x00"])
def test_a_damaged_record(toy: Checkout, content: str) -> None:
    (toy.root / "work").mkdir()
    (toy.root / "work" / "built.json").write_text(content)
    done = toy.doit("licenses")
    assert done.status == 0 and "as built here last" not in done.said, done


def test_a_long_build_says_so_first(toy: Checkout) -> None:
    project = toy.project()
    assert forecast.warning(project, {"seconds": 60.0}, {"image"}) == ""
    told = forecast.warning(project, {"seconds": 7200.0}, {"pkg:top"})
    assert told == "this build takes about 2 h 00 min; Ctrl-C keeps all that is done"
    full = (toy.root / "plan" / "sets.yaml").read_text().replace("base:", "full:")
    with (toy.root / "plan" / "sets.yaml").open("a") as file:
        file.write(full)
    told = forecast.warning(toy.project(set="full"), {"seconds": 7200.0}, {"image"})
    assert "doit image set=base takes about " in told
