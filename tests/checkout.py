"""Copies of this project, for tests that run it like a fresh clone."""

from __future__ import annotations

import shutil
from pathlib import Path

from cache import paths

ROOT = Path(__file__).resolve().parents[1]
TOP = (
    "bq2",
    "cache",
    "completions",
    "dodo.py",
    "docs",
    "LICENSE",
    "plan",
    "pyproject.toml",
    "README.md",
)
MORE = ("requirements.txt", "requirements-dev.txt", "rootfs", "tasks", "tests", ".ci")
GIT = (".gitattributes", ".gitignore")


def copy_project(into: Path) -> Path:
    """A copy of the files of this project, without anything that a build made."""
    into.mkdir(parents=True)
    for name in (*TOP, *MORE, *GIT):
        source = ROOT / name
        if source.is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, into / name, ignore=ignore)
        elif source.exists():
            shutil.copy(source, into / name)
    return into


def own_cache() -> Path:
    """The cache of the user who runs the tests."""
    return paths.root()
