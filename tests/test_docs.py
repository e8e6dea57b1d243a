"""README, CONTRIBUTING and docs/: every command, parameter, file and link in them exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from plan.model import PHASES
from plan.parameters import PARAMETERS
from tasks.commands import COMMANDS, OF_DOIT, misplaced
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
    for first, *rest in named_commands(path):
        task, _, name = first.partition(":")
        assert task in KNOWN and (not name or name in NAMES), first
        assert not misplaced(
            [task], parameters & {word.partition("=")[0] for word in rest if "=" in word}
        )
        for word in rest:
            assert "=" not in word or word.partition("=")[0] in parameters, word
            assert not word.startswith("pkg:") or word.removeprefix("pkg:") in NAMES, word


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


def test_every_task_has_a_row() -> None:
    """Of doit's own commands only the useful ones have a row."""
    rows = re.findall(r"^\| `\./bq2 ([\w]+)", TEXTS[0].read_text(), re.MULTILINE)
    assert {*rows} == {*COMMANDS, "clean", "forget", "list"}
    assert len(rows) == len({*rows})
