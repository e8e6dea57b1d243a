"""plan/typed.py: the commands in messages are spelled as the person typed them."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from plan.model import PHASES
from plan.settings.parameters import PARAMETERS
from plan.typed import KEPT, take_as_typed, typed
from tasks.commands import COMMANDS, OF_DOIT

ROOT = Path(__file__).resolve().parents[2]
NAMES = "|".join([*COMMANDS, *OF_DOIT, *PHASES])
SPELLED = re.compile(rf"\b(?<!-m )doit (?:{NAMES}|pkg:)(?!\w)")


@pytest.mark.parametrize(
    ("line", "words", "expected"),
    [
        (["./bq2", "image"], "forget pkg:zlib", "./bq2 forget pkg:zlib"),
        (["/src/bq2", "image", "set=base"], "log pkg:a", "/src/bq2 log pkg:a set=base"),
        (["/my src/bq2"], "list", "'/my src/bq2' list"),
        (["/usr/bin/doit", "image", "arch=aarch64"], "boot", "doit boot arch=aarch64"),
        (["/lib/doit/__main__.py"], "boot", "doit boot"),
        (["./bq2", "image", "set=base"], "image set=full", "./bq2 image set=full"),
        (["./bq2", "image", "jobs=4", "with=a,b"], "why pkg:a", "./bq2 why pkg:a with=a,b"),
        (["./bq2", "image", "seed_release=3.23.4"], "boot", "./bq2 boot seed_release=3.23.4"),
        (["./bq2", "pkg", "workdir=my work"], "status", "./bq2 status 'workdir=my work'"),
    ],
)
def test_a_command(
    monkeypatch: pytest.MonkeyPatch, line: list[str], words: str, expected: str
) -> None:
    monkeypatch.setattr(sys, "argv", line)
    assert typed(words) == expected


def test_a_link_to_the_program(tmp_path: Path) -> None:
    (tmp_path / "my").symlink_to(ROOT / "bq2")
    code = "import os, sys; sys.argv = ['./my', 'image']; sys.path.insert(0, os.environ['ROOT']); "
    code += "from plan.typed import typed; os.chdir('/'); print(typed('boot'))"
    command, environment = [sys.executable, "-c", code], {"ROOT": str(ROOT)}
    said = subprocess.check_output(command, cwd=tmp_path, env=environment, text=True)
    assert said == "./my boot\n"


def test_what_the_last_build_gave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["./bq2", "push", "app=x"])
    take_as_typed(["set=base", "app=/src/x", "format=raw"])
    try:
        assert typed("push loader=crystal") == "./bq2 push loader=crystal set=base app=x"
    finally:
        take_as_typed([])


def test_what_is_kept_is_of_every_command() -> None:
    assert {*KEPT} <= {parameter.name for parameter in PARAMETERS if not parameter.of}


def texts(path: Path) -> Iterator[ast.Constant]:
    """The texts of a module that a run may print: all but docstrings; of tasks also those."""
    tree = ast.parse(path.read_text())
    silent = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            silent.add(node.value)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("task_"):
            silent -= {each.value for each in node.body[:1] if isinstance(each, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in silent:
            yield node


def test_no_message_spells_a_command_by_itself() -> None:
    rooms = [
        path
        for room in ("cache", "plan", "rootfs", "tasks")
        for path in (ROOT / room).rglob("*.py")
    ]
    wrong = [
        f"{path}:{text.lineno}"
        for path in rooms
        for text in texts(path)
        if SPELLED.search(text.value)
    ]
    assert not wrong
