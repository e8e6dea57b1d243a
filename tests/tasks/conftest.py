"""Toy checkouts for the tests of tasks: fresh ones, or copies of one that was built once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.tasks.toy import Checkout, make_checkout, make_seed, make_template


@pytest.fixture(scope="session")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_seed(tmp_path_factory.mktemp("toy") / "seed")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("toy") / "template")


@pytest.fixture
def toy(tmp_path: Path, template: Path, seed: Path) -> Checkout:
    """A checkout in which nothing has been done yet."""
    return make_checkout(template, tmp_path / "checkout", cache=tmp_path / "cache", seed=seed)


@pytest.fixture(scope="session")
def _built(tmp_path_factory: pytest.TempPathFactory, template: Path, seed: Path) -> Path:
    directory = tmp_path_factory.mktemp("built")
    made = make_checkout(template, directory / "checkout", cache=directory / "cache", seed=seed)
    made.builds("bottom", "left", "right", "top", "kernel")
    return directory


@pytest.fixture
def built(tmp_path: Path, _built: Path, seed: Path) -> Checkout:
    """A checkout, and a cache of its own, in which all packages stand."""
    for name in ("checkout", "cache"):
        pipe = shutil.ignore_patterns("jobserver")
        shutil.copytree(_built / name, tmp_path / "built" / name, symlinks=True, ignore=pipe)
    return Checkout(tmp_path / "built" / "checkout", tmp_path / "built" / "cache", seed)
