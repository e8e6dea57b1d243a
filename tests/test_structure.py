"""The rules of the house: who may import whom, and how long a module may grow."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {
    "plan": {"plan"},
    "cache": {"cache", "plan"},
    "rootfs": {"rootfs", "plan"},
    "tasks": {"tasks", "rootfs", "cache", "plan"},
}
# The run-time dependencies, and who may use them.
LIBRARIES = {
    "plan": {"yaml"},
    "cache": {"requests", "urllib3", "tqdm"},
    "rootfs": set[str](),
    "tasks": {"doit"},
}
MODULES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
# The sandbox is one file because it runs alone; all others stay well below.
# `compression` is there from Python 3.14 on; who imports it says what happens before.
STANDARD = set(sys.stdlib_module_names) | {"compression"}
LINES = 360


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name.split(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where things are"
            yield (node.module or "").split(".")[0]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    allowed = PACKAGES[package] | LIBRARIES[package] | STANDARD
    assert set(imported(path)) <= allowed


def test_the_sandbox_needs_the_standard_library_only() -> None:
    assert set(imported(ROOT / "rootfs" / "sandbox.py")) <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_say_what_they_guarantee_and_stay_small(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= LINES
    assert path.name == "__init__.py" or ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize(
    "command",
    [["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]],
    ids=" ".join,
)
def test_the_tools_find_nothing(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
