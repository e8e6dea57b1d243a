"""README, CONTRIBUTING and docs/: every command, parameter, file and link in them exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from plan.model import PHASES
from plan.settings.parameters import PARAMETERS
from tasks.commands import COMMANDS, DOIT_DOCS, OF_DOIT, PURPOSES, misplaced, summaries
from tasks.completion import GROUPS, packages

ROOT = Path(__file__).resolve().parents[1]
TEXTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
KNOWN = {*OF_DOIT, *GROUPS, *PHASES, *COMMANDS, "NAME"}
NAMES = {*packages(ROOT), "NAME"}
LISTED = {name for name in KNOWN if name not in GROUPS and name != "NAME"}

CODE = re.compile(r"^    .*$|`[^`\n]+`", re.MULTILINE)
COMMAND = re.compile(r"(?:\./bq2|\bdoit) ((?:[\w:.,=/|-]+ ?)+)")
LINK = re.compile(r"\]\(([^)#]*)(?:#([^)]*))?\)")


def named_commands(path: Path) -> list[list[str]]:
    """The words after `./bq2` and `doit`, wherever those stand in code."""
    code = "\n".join(CODE.findall(path.read_text()))
    return [found.split() for found in COMMAND.findall(code)]


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_what_is_named_exists(path: Path) -> None:
    parameters = {parameter.name for parameter in PARAMETERS}
    # A page may build what it wrote a recipe for.
    new = {each[2] for each in named_commands(path) if each[:2] == ["recipe", "new"] and each[2:]}
    for first, *rest in named_commands(path):
        task, _, name = first.partition(":")
        assert task in KNOWN and (not name or name in NAMES | new), first
        assert not misplaced(
            [task], parameters & {word.partition("=")[0] for word in rest if "=" in word}
        )
        for word in rest:
            assert "=" not in word or word.partition("=")[0] in parameters, word
            assert not word.startswith("pkg:") or word.removeprefix("pkg:") in NAMES | new, word


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_no_merge_was_left_unfinished(path: Path) -> None:
    assert not re.findall(r"^(?:<{7}|={7}|>{7})(?: .*)?$", path.read_text(), re.MULTILINE)


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for file, anchor in LINK.findall(path.read_text()):
        if file.startswith("https://"):
            continue
        target = path.parent / file if file else path
        assert target.exists(), file
        assert not anchor or anchor in anchors(target), anchor


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_files_that_are_named_exist(path: Path) -> None:
    directories = r"(?:plan|tasks|cache|rootfs|tests|docs)"
    for file in re.findall(rf"`({directories}/[\w./-]+\.\w+)`", path.read_text()):
        assert (ROOT / file).exists() or "NAME" in file, file


@pytest.mark.parametrize("path", [*TEXTS, ROOT / "CHANGELOG.md"], ids=lambda path: path.name)
def test_no_mark_of_a_merge_is_left(path: Path) -> None:
    """What git writes around a conflict (git-merge(1))."""
    lines = path.read_text().splitlines()
    assert [line for line in lines if re.match(r"(<{7}|>{7}|\|{7}) |={7}$", line)] == []


def test_the_table_says_what_doit_list_says() -> None:
    """The same purposes and commands in the same order, and the same words; it may say more."""
    row = r"^\| (\*\*|`\./bq2 )(\w+)[^|]*\| ?(.*)\|$"
    rows = re.findall(row, TEXTS[0].read_text().partition("## Commands")[2], re.MULTILINE)
    found: dict[str, dict[str, str]] = {}
    for start, name, text in rows:
        if start == "**":
            found[name] = {}
        else:
            [*found.values()][-1][name] = text
    assert {purpose: (*names,) for purpose, names in found.items()} == PURPOSES
    docs = summaries()
    for names in found.values():
        for name, text in names.items():
            assert text.startswith(docs[name]), name


def test_every_command_has_one_purpose() -> None:
    """Of doit's own commands only the useful ones are there."""
    named = [name for names in PURPOSES.values() for name in names]
    assert {*named} == {*COMMANDS, *DOIT_DOCS} and len(named) == len({*named})


def test_what_smaller_md_takes_from_the_kernel_is_in_it() -> None:
    """It names all that depends on DRM and USB, so it has to follow the files of the kernel."""
    text = (ROOT / "docs" / "smaller.md").read_text()
    taken = {*re.findall(r"^# CONFIG_(\w+) is not set$", text, re.MULTILINE)}
    files = (ROOT / "plan" / "recipes" / "linux").glob("*.config")
    asked = {*re.findall(r"^CONFIG_(\w+)=", "\n".join(f.read_text() for f in files), re.MULTILINE)}
    assert taken and taken <= asked
    depends = {name for name in asked if re.match(r"(DRM|USB)(_|$)|FRAMEBUFFER_CONSOLE$", name)}
    assert depends == taken
