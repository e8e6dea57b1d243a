"""help: the pages of this project; a run without a command builds nothing."""

from __future__ import annotations

import sys

import pytest

from plan.version import VERSION
from tasks.commands import COMMANDS, OF_DOIT, creators, examples, summary
from tasks.help import FIRST, command_page
from tests.tasks.toy import Checkout

OURS = [sys.executable, "-m", "tasks"]
DOIT = [sys.executable, "-m", "doit"]


@pytest.mark.parametrize(
    "words", [[], ["-h"], ["--help"], ["help"], ["help", "--help"], ["help", "help"]]
)
def test_the_page_of_the_project(toy: Checkout, words: list[str]) -> None:
    """A broken parameter does not hide it."""
    done = toy.run([*OURS, *words], BQ2_SET="wrong")
    assert done.status == 0 and VERSION in done.said, done
    assert all(f"doit {line} " in done.said for line in FIRST)
    assert "docs/tutorial.md" in done.said and max(map(len, done.said.splitlines())) <= 80


def test_the_version(toy: Checkout) -> None:
    assert toy.run([*OURS, "--version"]).said == f"bootstrap-qcow2 {VERSION}\n"


@pytest.mark.fault(
    "no command is given, only ./bq2 or doit", "this project's page is shown; nothing is built"
)
@pytest.mark.parametrize("program", [OURS, DOIT])
def test_without_a_command_nothing_is_built(toy: Checkout, program: list[str]) -> None:
    assert f"bootstrap-qcow2 {VERSION}" in toy.run(program).said
    done = toy.run([*program, "set=base"])
    assert done.status != 0 and "ERROR: no command is given" in done.said, done
    assert "doit image set=base builds the image" in done.said, done
    assert not (toy.root / "work").exists() and not toy.cache.exists()
    # A default task remains for doit's own commands.
    assert toy.run([*program, "forget"]).status == 0


def test_every_command_has_a_page() -> None:
    for name, create in creators():
        assert summary(create) and not summary(create).endswith("."), name
        assert examples(create), name
        for example in examples(create):
            assert example.split()[0].partition(":")[0] == name, example
            assert len(example) <= 80, example
    lines = [*command_page("boot")]
    assert lines[0].startswith("doit boot: start the image")
    assert any(line.startswith("  run ") for line in lines)
    assert any(line.startswith("  doit boot run=about ") for line in lines)


@pytest.mark.parametrize("program", [OURS, DOIT])
def test_the_page_of_a_name(toy: Checkout, program: list[str]) -> None:
    assert toy.run([*program, "help", "boot"]).said.startswith("doit boot: start the image")
    done = toy.run([*program, "help", "pkg:bottom"])
    assert done.status == 0 and done.said.startswith("doit pkg:bottom: 1 "), done
    said = toy.run([*program, "help", "jobs"]).said
    assert said.startswith("jobs=  ") and "BQ2_JOBS" in said, said
    said = toy.run([*program, "help", "cache"]).said
    assert "BQ2_SHARED_CACHE" in said and "BQ2_CACHE" not in said, said
    assert "\nseed=  the first root" in toy.run([*program, "help", "seed"]).said
    for word, right in (("jobz", "jobs"), ("seed_rel", "seed_release")):
        assert f"did you mean {right}?" in toy.run([*program, "help", word]).said
    done = toy.run([*program, "help", "boto"])
    assert done.status != 0 and "did you mean boot?" in done.said, done
    assert "there is no command or parameter 'boto'" in done.said


def test_a_parameter_says_what_it_takes(toy: Checkout) -> None:
    said = toy.run([*OURS, "help", "offline"]).said
    assert "  takes     yes or no\n  default   no\n" in said, said
    said = toy.run([*OURS, "help", "format"]).said
    assert "  takes     qcow2, raw, vdi, vhd, vmdk\n  default   qcow2\n" in said, said


def test_a_command_and_a_parameter_of_one_name_are_told_apart(toy: Checkout) -> None:
    command, _, parameter = toy.run([*OURS, "help", "image"]).said.partition(
        "There is also a parameter of this name:"
    )
    assert "image set=base" in command and "image=" not in command
    assert "\nimage=  the image for inspect" in parameter


@pytest.mark.parametrize("name", ["task", *OF_DOIT])
def test_the_words_of_doit(toy: Checkout, name: str) -> None:
    """No page is doit's own: it names what nobody types here."""
    done = toy.run([*OURS, "help", name])
    assert done.status == 0 and "PURPOSE" not in done.said and "USAGE" not in done.said, done
    first = f"bootstrap-qcow2 {VERSION}" if name == "help" else f"doit {name}: "
    assert done.said.startswith(first) and "  doit " in done.said, done


@pytest.mark.parametrize("words", ["boot --help", "boot -h", "help boot --help"])
def test_help_where_a_person_asks_for_it(toy: Checkout, words: str) -> None:
    assert toy.run([*OURS, *words.split()]).said.startswith("doit boot: start the image")


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("--hlep", "did you mean --help?"),
        ("-x", "known: --always-execute"),
        ("image --hlep", "did you mean --help?"),
        ("log -F pkg:bottom", "did you mean -f?"),
        ("clean --clean-deq", "did you mean --clean-dep?"),
    ],
)
def test_a_wrong_option(toy: Checkout, words: str, hint: str) -> None:
    done = toy.run([*OURS, *words.split()])
    assert done.status != 0 and done.said.count("\n") == 2, done
    assert "not recognized" in done.said and hint in done.said, done


def test_the_commands_of_the_first_minute_exist() -> None:
    assert {line.split()[0] for line in FIRST} <= {*COMMANDS, "list"}


@pytest.mark.fault(
    "an empty word on the command line, from a variable without a value",
    "one error and its likely cause; nothing is begun",
)
@pytest.mark.parametrize("words", [[""], ["image", ""], ["", "set=base"]])
def test_an_empty_word(toy: Checkout, words: list[str]) -> None:
    done = toy.run([*OURS, *words])
    assert done.status == 3 and done.said.startswith("ERROR: a word of the command line"), done
    assert done.said.count("\n") == 2 and not (toy.root / "work").exists()
