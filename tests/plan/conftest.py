"""A small, complete `plan/` directory that tests can write into."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

PLAN = Path(__file__).resolve().parents[2] / "plan"

RECIPE = """\
name: {name}
version: "1"
license: MIT
description: a test needs it
depends: [{depends}]
style: script
build: |
  true
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A plan directory with the real architectures, and a set `base` with the recipe `top`."""
    (tmp_path / "recipes").mkdir()
    shutil.copy(PLAN / "architectures.yaml", tmp_path)
    shutil.copytree(PLAN / "seeds", tmp_path / "seeds")
    (tmp_path / "sets.yaml").write_text(
        "base:\n  phase: sysroot-from-seed\n  packages: [top]\n  exclude: []\n"
    )
    (tmp_path / "toolbox.yaml").write_text("every: []\n")
    return tmp_path


@pytest.fixture
def recipe(data: Path) -> Callable[..., Path]:
    """Writes a small recipe with the given name and dependencies."""

    def write(name: str, *depends: str, extra: str = "") -> Path:
        path = data / "recipes" / f"{name}.yaml"
        path.write_text(RECIPE.format(name=name, depends=", ".join(depends)) + extra)
        return path

    return write


def written(directory: Path, text: str) -> Path:
    """A YAML file of its own with this text."""
    path = directory / "written.yaml"
    path.write_text(text)
    return path
